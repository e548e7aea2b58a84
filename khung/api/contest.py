"""The contest's booth of the service: from checked requests to khung.contest and back to what a browser shows.

One booth an application, made when a contest server is set. What does not live here: routes, pages, rules of the contest.
"""

import asyncio
import logging
import time
from typing import TYPE_CHECKING

import anyio
from fastapi import Request

from khung.api.schemas import ContestNowOut, DraftOut, EntryOut, NoticeOut, SearchOut, TaskOut
from khung.api.service import Service
from khung.contest import logs, sending
from khung.contest.dres import TaskNow
from khung.contest.review import review
from khung.contest.sessions import Seat, Sessions
from khung.contest.submission import Draft, Notice, Pick, item_name, prepare
from khung.contest.team import Entry, Team
from khung.errors import AnswerError, ContestLoginNeeded, KhungError, NotFound, SubmissionRejected
from khung.search.request import SearchRequest
from khung.settings import Settings

if TYPE_CHECKING:
    from khung.api.routes.contest import AnswerIn, PickIn

log = logging.getLogger("khung.api")


class Booth:
    """`sessions` and `team` of the one contest server of the settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.contest
        self.team = Team(settings.contest_path)
        self.sessions = Sessions(settings.contest, self.team)
        self._logging: set[asyncio.Task[None]] = set()

    def draft(self, service: Service, asked: "AnswerIn") -> Draft:
        """The answer, verified against the videos of the snapshot. Raises AnswerError, NotFound."""
        picks = [_pick(service, pick) for pick in asked.picks]
        rules, collection = self._settings.rules, self._settings.collection
        return prepare(asked.kind, picks, text=asked.text, rules=rules, collection=collection)

    async def now(self, seat: Seat) -> ContestNowOut:
        """Without a chosen evaluation there is no task."""
        if not seat.evaluation_id:
            return ContestNowOut(username=seat.username, evaluation_id="", rules=self._settings.rules)
        task = await seat.dres.task_now(seat.evaluation_id)
        entries = await anyio.to_thread.run_sync(self.team.entries, seat.evaluation_id, task.key) if task.key else []
        return ContestNowOut(
            username=seat.username,
            evaluation_id=seat.evaluation_id,
            rules=self._settings.rules,
            task=_task(task),
            entries=[entry_out(entry) for entry in entries],
        )

    async def checked(self, seat: Seat, draft: Draft, task_key: str) -> DraftOut:
        """The draft with its notices and those of the team's list. Here as in `propose`, SubmissionRejected when it is meant
        for another task than the running one; without a key it is for that one."""
        task = await self._running(seat, task_key)
        entries = await anyio.to_thread.run_sync(self.team.entries, seat.evaluation_id, task.key)
        notices = (*draft.notices, *review(draft, entries))
        return DraftOut(
            kind=draft.kind,
            item_name=draft.item_name,
            frames=list(draft.frames),
            times_ms=list(draft.times_ms),
            answer=draft.answer.wire(),
            task=task.name,
            notices=[_notice(notice) for notice in notices],
        )

    async def propose(self, seat: Seat, draft: Draft, task_key: str) -> EntryOut:
        task = await self._running(seat, task_key)
        return entry_out(await anyio.to_thread.run_sync(self.team.propose, task, draft, seat.username))

    async def send(self, seat: Seat, entry_id: int, *, again: bool) -> EntryOut:
        return entry_out(await sending.send(seat.dres, self.team, entry_id, seat.username, again=again))

    def log_search(self, token: str, service: Service, request: SearchRequest, shown: SearchOut) -> None:
        """Tell the contest's server what was asked and shown, beside the answer: nobody waits for it, nothing fails by it."""
        task = asyncio.create_task(self._log(token, service, request, shown))
        self._logging.add(task)
        task.add_done_callback(self._logging.discard)

    async def aclose(self) -> None:
        if self._logging:
            await asyncio.wait(self._logging, timeout=2)
        await self.sessions.aclose()

    async def _log(self, token: str, service: Service, request: SearchRequest, shown: SearchOut) -> None:
        at_ms = time.time_ns() // 1_000_000
        events = logs.events_of(request, at_ms)
        try:
            seat = await self.sessions.seat(token)
            if not seat.evaluation_id:
                return
            with service.serving.borrow() as here:
                names = {video.video_id: item_name(video) for video in here.snapshot.records.videos()}
            told = logs.result_log(
                [(hit.frame.video_id, hit.frame.pts_ms) for hit in shown.hits],
                events,
                at_ms,
                name_of=lambda video_id: names.get(video_id, video_id),
                total=shown.total,
                offset=request.offset,
            )
            await seat.dres.log_query(seat.evaluation_id, logs.query_log(events, at_ms))
            await seat.dres.log_result(seat.evaluation_id, told)
        except ContestLoginNeeded:
            return
        except KhungError as error:
            log.warning("contest_log_failed", extra={"reason": type(error).__name__})

    async def _running(self, seat: Seat, task_key: str) -> TaskNow:
        if not seat.evaluation_id:
            error = SubmissionRejected("No evaluation is chosen.", cure="Choose one on the contest page.")
            raise error.known_as("no_evaluation")
        task = await seat.dres.task_now(seat.evaluation_id)
        if not task.key:
            raise SubmissionRejected("No task is running.", cure="Wait for the task.").known_as("no_task")
        if task_key not in ("", task.key):
            cure = "Nothing was sent. Pick the frames of the new task."
            error = SubmissionRejected(f"The answer is for another task; now it is “{task.name}”.", cure=cure)
            raise error.known_as("task_changed", now=task.name)
        return task


def booth_of(request: Request) -> Booth:
    """For `Depends`. Raises NotFound where no contest is set up."""
    booth = request.app.state.booth
    if booth is None:
        raise NotFound("No contest is set up here.", cure="Set KHUNG_CONTEST_SERVER=https://…")
    return booth


def _pick(service: Service, pick: "PickIn") -> Pick:
    with service.serving.borrow() as here:
        video = here.snapshot.records.video(pick.video_id)
        if pick.at_ms is not None:
            return Pick.at(video, pick.at_ms)
        if pick.frame_index is None:
            raise AnswerError("A pick needs frame_index or at_ms.")
        frames = here.snapshot.records.frames_of(pick.video_id)
    known = next((f.pts_ms for f in frames if f.keyframe.frame_index == pick.frame_index), None)
    return Pick(video, pick.frame_index, known)


def _task(task: TaskNow) -> TaskOut | None:
    if task.task is None:
        return None
    return TaskOut(
        key=task.key,
        name=task.name,
        group=task.task.task_group,
        type=task.task.task_type,
        duration_s=task.task.duration,
        status=task.status,
        left_s=task.left_s,
        elapsed_s=task.elapsed_s,
    )


def entry_out(entry: Entry) -> EntryOut:
    return EntryOut(
        id=entry.id,
        kind=entry.kind,
        item_name=entry.item_name,
        video_id=entry.video_id,
        frames=list(entry.frames),
        times_ms=list(entry.times_ms),
        text=entry.answer.text,
        by=entry.by,
        sent_by=entry.sent_by,
        state=entry.state,
        verdict=entry.verdict,
        message=entry.message,
    )


def _notice(notice: Notice) -> NoticeOut:
    return NoticeOut(code=notice.code, message=notice.message)
