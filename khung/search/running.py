"""Channels in threads, each with its time-out; who does not answer is named, never passed over in silence.

Quick channels follow one another in one thread: handing each to a thread of its own costs more than most of them take. As soon as
one is not quick, the others go on beside it. What is quick depends on how many searches share the processor: threads that wait for one
another are no help to any of them.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from khung.errors import KhungError, NotFound, QueryError, SearchUnavailable, VectorSpaceMismatch
from khung.metrics import DEGRADED, channel_seconds
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

QUICK_S = 0.01
"""How long a channel may hold up those behind it, for each search that is under way."""

PATIENT: Mapping[str, float] = dict.fromkeys(TIMEOUTS_S, 60.0)
"""For who asks by night: beside the pipeline's own work a channel may be slow, and only one that does not answer is wrong."""


class Runner:
    """A pool of threads for channels. A channel that overruns keeps its thread until it ends; its answer is dropped."""

    def __init__(self, timeouts_s: Mapping[str, float] = TIMEOUTS_S, threads: int = 16) -> None:
        self._timeouts = timeouts_s
        self._counting, self._under_way = threading.Lock(), 0
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="khung-channel")

    def run(
        self, jobs: Mapping[str, Callable[[], Any]], heard: Callable[[dict[str, Any]], None] | None = None
    ) -> tuple[dict[str, Any], list[Degraded]]:
        """Every job's answer by name, and who failed. `heard` gets the answers so far whenever one comes in before the last.

        Raises QueryError and NotFound (the searcher's to mend) and, when all fail, SearchUnavailable."""
        with _Work(jobs) as work, self._counted() as under_way:
            began = time.monotonic()
            self._begin(work, 0.0 if heard else QUICK_S * under_way)
            if heard:
                self._listen(work, began, heard)
            answers, degraded = {}, []
            for job in work.jobs:
                error = self._error(work, job, began)
                if error is None:
                    answers[job.name] = job.answer
                else:
                    degraded.append(_told(job.name, error))
            if jobs and not answers:
                raise _outage(degraded, [job.error for job in work.jobs if job.done])
            return answers, degraded

    def attempt(self, name: str, job: Callable[[], Any]) -> "Any | Degraded":
        """The answer of what may be done without, or who failed."""
        with _Work({name: job}) as work:
            began = time.monotonic()
            self._pool.submit(work.do)
            error = self._error(work, work.jobs[0], began)
            return work.jobs[0].answer if error is None else _told(name, error)

    @contextmanager
    def _counted(self) -> Iterator[int]:
        """How many are under way, this one among them."""
        with self._counting:
            self._under_way += 1
            now = self._under_way
        try:
            yield now
        finally:
            with self._counting:
                self._under_way -= 1

    def _begin(self, work: "_Work", patience_s: float) -> None:
        """All jobs under way: one thread takes one after another, and one more joins it whenever `patience_s` go by."""
        for _ in work.jobs:
            if not work.waiting:
                break
            worker = self._pool.submit(work.do)
            if patience_s:
                with suppress(NotYet):
                    worker.result(patience_s)

    def _listen(self, work: "_Work", began: float, heard: Callable) -> None:
        """Wait as long as any channel may take, telling of each answer as it comes."""
        until = began + max((self._timeouts.get(job.name, 2.0) for job in work.jobs), default=0.0)
        done = 0
        while done < len(work.jobs):
            if not work.wait(lambda seen=done: work.done() > seen, until - time.monotonic()):
                return
            done = work.done()
            answered = {job.name: job.answer for job in work.jobs if job.done and job.error is None}
            if done < len(work.jobs) and answered:
                heard(answered)

    def _error(self, work: "_Work", job: "_Job", began: float) -> BaseException | None:
        left = began + self._timeouts.get(job.name, 2.0) - time.monotonic()
        if not job.done and not work.wait(lambda: job.done, left):
            job.given_up = True
            return NotYet()
        if isinstance(job.error, QueryError | NotFound):
            raise job.error
        return job.error


@dataclass(slots=True, eq=False)
class _Job:
    name: str
    look: Callable[[], Any]
    answer: Any = None
    error: BaseException | None = None
    done: bool = False
    given_up: bool = False  # nobody waits for it any more


class _Work:
    """The jobs of one search, within which they may be asked about. Lighter than a future each: most are done before anybody waits for one."""

    def __init__(self, jobs: Mapping[str, Callable[[], Any]]) -> None:
        self.jobs = [_Job(name, look) for name, look in jobs.items()]
        self.waiting = deque(self.jobs)
        self._changed = threading.Condition(threading.Lock())

    def __enter__(self) -> "_Work":
        return self

    def __exit__(self, *_: object) -> None:
        """Let errors go: each holds the frames it came through, these hold the jobs, and with them whatever large thing failed."""
        for job in self.jobs:
            job.given_up, job.error = True, None

    def do(self) -> None:
        """Do what waits, until nothing does; other threads may be at it, too."""
        while self.waiting:
            try:
                job = self.waiting.popleft()
            except IndexError:  # another thread was first
                return
            if job.given_up:
                continue
            try:
                job.answer = _timed(job.name, job.look)
            except BaseException as error:  # who waits is told. A panic of tantivy is no Exception
                if job.given_up:
                    log.warning("channel_failed_late", extra={"channel": job.name}, exc_info=error)
                else:
                    job.error = error
            with self._changed:
                job.done = True
                self._changed.notify_all()

    def done(self) -> int:
        return sum(job.done for job in self.jobs)

    def wait(self, ready: Callable[[], bool], seconds: float) -> bool:
        """Until a job has ended and `ready()`; False when it did not come to that in time."""
        with self._changed:
            return self._changed.wait_for(ready, max(seconds, 0))


def _timed(name: str, job: Callable[[], Any]) -> Any:
    began, outcome = time.perf_counter(), "error"
    try:
        answer = job()
        outcome = "ok"
        return answer
    finally:
        channel_seconds(name, outcome).observe(time.perf_counter() - began)


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
