"""A client for one operator at one DRES server (Client API v2, 2.0.4). Calls are coroutines and safe side by side.

What does not live here: what is sent (submission, logs), failures (transport), who is logged in (sessions). The server's
`download` endpoints are never called: on some servers they give away the answers.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from khung.contest import wire
from khung.contest.submission import Answer, one_line
from khung.contest.transport import Transport
from khung.errors import ContestError, ContestUnavailable, SubmissionRejected


@dataclass(frozen=True, slots=True)
class TaskNow:
    """The task of an evaluation at this moment. `left_s` is None where participants may not see the state."""

    evaluation_id: str
    task: wire.TaskInfo | None
    task_id: str = ""
    status: str = ""  # wire.State.task_status, or empty
    left_s: int | None = None
    elapsed_s: int | None = None

    @property
    def name(self) -> str:
        return self.task.name if self.task else ""

    @property
    def key(self) -> str:
        """Tells one run of a task from the next; empty without a task."""
        return (self.task_id or self.name) if self.task else ""


class TaskIds(Protocol):
    """Which id a task of that name had when the server last told."""

    def saw_task(self, evaluation_id: str, name: str, task_id: str) -> None: ...

    def last_task_id(self, evaluation_id: str, name: str) -> str:
        """Empty when it was never seen."""
        ...


class Remembered:
    """TaskIds of one client that is alone."""

    def __init__(self) -> None:
        self._ids: dict[tuple[str, str], str] = {}

    def saw_task(self, evaluation_id: str, name: str, task_id: str) -> None:
        self._ids[evaluation_id, name] = task_id

    def last_task_id(self, evaluation_id: str, name: str) -> str:
        return self._ids.get((evaluation_id, name), "")


class Dres:
    """`session` restores an earlier login; `seen` remembers ids of tasks for all clients alike. Calls raise ContestLoginNeeded, ContestUnavailable, ContestError (see errors)."""

    def __init__(self, server: str, *, session: str = "", timeout_s: float = 8.0, seen: TaskIds | None = None) -> None:
        self.session = session
        self._seen = seen or Remembered()
        self._told = ("", "", "")  # what was remembered last: it is the same for minutes
        self._transport = Transport(server, timeout_s)

    async def login(self, username: str, password: str) -> wire.User:
        """Open a session. The password is not kept."""
        body = {"username": username, "password": password}
        user = await self._transport.call("POST", "login", wire.User, body=body, carrier="none")
        if not user.session_id:
            raise ContestUnavailable("The contest's server gave no session.", cure="Ask the organisers.")
        self.session = user.session_id
        return user

    async def logout(self) -> None:
        """Close the session at the server; here it is forgotten in any case."""
        try:
            await self._get("logout", wire.Status)
        finally:
            self.session = ""

    async def user(self) -> wire.User:
        """Whose session this is."""
        return await self._transport.call("GET", "user", wire.User, session=self.session, carrier="cookie")

    async def server_time_ms(self) -> int:
        """The server's clock, milliseconds since 1970."""
        return (await self._transport.call("GET", "status/time", wire.ServerTime, carrier="none")).time_stamp

    async def evaluations(self) -> tuple[wire.Evaluation, ...]:
        """The contest runs that this user takes part in."""
        return await self._get("client/evaluation/list", tuple[wire.Evaluation, ...])

    async def task_now(self, evaluation_id: str) -> TaskNow:
        """The current task and its countdown. Having no task is no error; an evaluation that does not exist is.

        While only the state's page is out of order the task goes on without a countdown.
        """
        task, state = await asyncio.gather(self._task(evaluation_id), self._state_or_none(evaluation_id))
        if state is None:
            last = await asyncio.to_thread(self._seen.last_task_id, evaluation_id, task.name) if task else ""
            return TaskNow(evaluation_id, task, last)
        task_id = (state.task_id or "") if task else ""
        if task_id and self._told != (told := (evaluation_id, task.name, task_id)):
            await asyncio.to_thread(self._seen.saw_task, *told)
            self._told = told
        return TaskNow(evaluation_id, task, task_id, state.task_status, state.time_left, state.time_elapsed)

    async def submit(
        self, evaluation_id: str, answers: Sequence[Answer], *, task_id: str = "", task_name: str = ""
    ) -> wire.Verdict:
        """Send one answer set, once. Raises SubmissionRejected when it did not count, DeliveryUnknown when nobody knows."""
        answer_set: dict[str, Any] = {"answers": [answer.wire() for answer in answers]}
        answer_set |= {name: value for name, value in (("taskId", task_id), ("taskName", task_name)) if value}
        path, body = f"submit/{_part(evaluation_id)}", {"answerSets": [answer_set]}
        verdict = await self._transport.call("POST", path, wire.Verdict, session=self.session, body=body, counts=True)
        if not verdict.status:
            words = one_line(verdict.description)[:300]
            error = SubmissionRejected(
                f"The contest's server did not take it: {words}", cure="Look at DRES's own page."
            )
            raise error.known_as("dres_not_taken", said=words)
        return verdict

    async def log_query(self, evaluation_id: str, log: Mapping[str, Any]) -> None:
        """A `QueryEventLog` of khung.contest.logs."""
        await self._post(f"log/query/{_part(evaluation_id)}", log)

    async def log_result(self, evaluation_id: str, log: Mapping[str, Any]) -> None:
        """A `QueryResultLog` of khung.contest.logs."""
        await self._post(f"log/result/{_part(evaluation_id)}", log)

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def _task(self, evaluation_id: str) -> wire.TaskInfo | None:
        try:
            return await self._get(f"client/evaluation/currentTask/{_part(evaluation_id)}", wire.TaskInfo)
        except ContestError as error:
            if error.status == 404:
                return None
            raise

    async def _state_or_none(self, evaluation_id: str) -> wire.State | None:
        try:
            return await self.state(evaluation_id)
        except ContestUnavailable:
            return None

    async def state(self, evaluation_id: str) -> wire.State | None:
        """The evaluation's state; None where the organisers hide it from participants."""
        path = f"evaluation/{_part(evaluation_id)}/state"
        try:
            return await self._transport.call("GET", path, wire.State, session=self.session, carrier="cookie")
        except ContestError as error:
            if error.status == 403:
                return None
            raise

    async def _get(self, path: str, reply: Any) -> Any:
        return await self._transport.call("GET", path, reply, session=self.session)

    async def _post(self, path: str, body: Mapping[str, Any]) -> None:
        await self._transport.call("POST", path, wire.Status, session=self.session, body=body)


def _part(identifier: str) -> str:
    """One part of a path, whatever the identifier contains."""
    return quote(identifier, safe="")
