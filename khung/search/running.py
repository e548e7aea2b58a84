"""Channels in threads, each with its time-out; who does not answer is named, never passed over in silence.

Quick channels follow one another in one thread: handing each to a thread of its own costs more than most of them take. As soon as
one is not quick, the others go on beside it.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from typing import Any

from khung.errors import KhungError, NotFound, QueryError, SearchUnavailable, VectorSpaceMismatch
from khung.metrics import CHANNEL_SECONDS, DEGRADED
from khung.search.request import Degraded

log = logging.getLogger("khung.search")

TIMEOUTS_S: Mapping[str, float] = {
    "vector": 5.0,
    "vector_fallback": 5.0,
    "text": 2.0,
    "screen_text": 2.0,
    "facets": 2.0,
    "reranker": 3.0,
}
"""The vector channel includes the query encoder, which is the slow part on a CPU."""

QUICK_S = 0.005
"""How long a channel may hold up those behind it."""

PATIENT: Mapping[str, float] = dict.fromkeys(TIMEOUTS_S, 60.0)
"""For who asks by night: beside the pipeline's own work a channel may be slow, and only one that does not answer is wrong."""


class Runner:
    """A pool of threads for channels. A channel that overruns keeps its thread until it ends; its answer is dropped."""

    def __init__(self, timeouts_s: Mapping[str, float] = TIMEOUTS_S, threads: int = 16) -> None:
        self._timeouts = timeouts_s
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="khung-channel")

    def run(
        self, jobs: Mapping[str, Callable[[], Any]], heard: Callable[[dict[str, Any]], None] | None = None
    ) -> tuple[dict[str, Any], list[Degraded]]:
        """Every job's answer by name, and who failed. `heard` gets the answers so far whenever one comes in before the last.

        Raises QueryError and NotFound (the searcher's to mend) and, when all fail, SearchUnavailable."""
        began = time.monotonic()
        futures = self._begin(jobs, 0.0 if heard else QUICK_S)
        if heard:
            self._listen(futures, began, heard)
        answers, degraded = {}, []
        for name, future in futures.items():
            error = self._error(name, future, began)
            if error is None:
                answers[name] = future.result()
            else:
                degraded.append(_told(name, error))
        if jobs and not answers:
            raise _outage(degraded, [f.exception() for f in futures.values() if f.done() and not f.cancelled()])
        return answers, degraded

    def attempt(self, name: str, job: Callable[[], Any]) -> "Any | Degraded":
        """The answer of what may be done without, or who failed."""
        began = time.monotonic()
        future = self._pool.submit(_timed, name, job)
        error = self._error(name, future, began)
        return future.result() if error is None else _told(name, error)

    def _begin(self, jobs: Mapping[str, Callable[[], Any]], patience_s: float) -> "dict[str, Future[Any]]":
        """All jobs under way: one thread takes one after another, and one more joins it whenever `patience_s` go by."""
        futures: dict[str, Future[Any]] = {name: Future() for name in jobs}
        waiting = deque((name, job, futures[name]) for name, job in jobs.items())
        for _ in jobs:
            if not waiting:
                break
            worker = self._pool.submit(_work_off, waiting)
            if patience_s:
                with suppress(NotYet):
                    worker.result(patience_s)
        return futures

    def _listen(self, futures: "Mapping[str, Future[Any]]", began: float, heard: Callable) -> None:
        """Wait as long as any channel may take, telling of each answer as it comes."""
        until = began + max((self._timeouts.get(name, 2.0) for name in futures), default=0.0)
        pending = set(futures.values())
        while pending:
            done, pending = wait(pending, max(until - time.monotonic(), 0), FIRST_COMPLETED)
            if not done:
                return
            answered = {name: f.result() for name, f in futures.items() if f.done() and f.exception() is None}
            if pending and answered:
                heard(answered)

    def _error(self, name: str, future: "Future[Any]", began: float) -> BaseException | None:
        left = began + self._timeouts.get(name, 2.0) - time.monotonic()
        try:
            error = future.exception(timeout=max(left, 0))
        except NotYet as late:
            future.cancel()
            return late
        if isinstance(error, QueryError | NotFound) or (error and not isinstance(error, Exception)):
            raise error
        return error


def _work_off(waiting: "deque[tuple[str, Callable[[], Any], Future[Any]]]") -> None:
    """Do what waits, until nothing does; another thread may be at it, too."""
    while waiting:
        try:
            name, job, future = waiting.popleft()
        except IndexError:  # the other thread was first
            return
        if not future.set_running_or_notify_cancel():
            continue
        try:
            answer = _timed(name, job)
        except BaseException as error:  # noqa: BLE001 - whoever waits for the answer raises it
            future.set_exception(error)
        else:
            future.set_result(answer)


def _timed(name: str, job: Callable[[], Any]) -> Any:
    began, outcome = time.perf_counter(), "error"
    try:
        answer = job()
        outcome = "ok"
        return answer
    finally:
        CHANNEL_SECONDS.labels(name, outcome).observe(time.perf_counter() - began)


def _told(name: str, error: BaseException) -> Degraded:
    late = isinstance(error, NotYet)
    told = Degraded(name, "timeout" if late else type(error).__name__, "" if late else str(error))
    DEGRADED.labels(name, told.reason).inc()
    log.warning("channel_failed", extra={"channel": name, "reason": told.reason}, exc_info=None if late else error)
    return told


def _outage(degraded: list[Degraded], errors: list[BaseException | None]) -> KhungError:
    """The one known error by its own name; several as what they are together: an outage."""
    spaces = [e for e in errors if isinstance(e, VectorSpaceMismatch)]
    if spaces and len(errors) == 1:
        return spaces[0]
    what = "; ".join(
        f"{d.channel}: {d.reason}" for d in degraded
    )  # the log has the details: hosts and paths are nothing for strangers
    error = SearchUnavailable(
        f"No channel could answer ({what}).", cure="Try again in a moment; khung doctor looks deeper."
    )
    return error.known_as("no_channel")
