"""The desk where searches queue: a bounded number at a time in threads, equal questions answered once, answers kept.

FAISS and tantivy release the interpreter but block their thread, so nothing of a search may run in the event loop.
What does not live here: what a search is. The desk sees a key and a function.
"""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

from khung.api.kept import Kept
from khung.errors import Overloaded
from khung.metrics import CACHE, INFLIGHT, SHED
from khung.settings import ServeSettings

_LONGEST_WAIT_S = 30
_PATIENCE_S = 5.0  # until the end no longer waits for searches under way
_SMOOTHING = 0.1  # of the mean duration
_HIT, _JOINED, _MISS = (CACHE.labels("result", outcome) for outcome in ("hit", "joined", "miss"))


@dataclass(eq=False, slots=True)
class Flight:
    """One computation under way, and who waits for it in the event loop."""

    key: Hashable
    answer: Callable[[], Any]
    keep: Callable[[Any], bool]
    loop: asyncio.AbstractEventLoop
    waiting: "set[asyncio.Future[Any]]" = field(default_factory=set)
    taken: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> bool:
        """True for the one who comes first: a thread that works it out, or the event loop that calls it off."""
        return self.taken.acquire(blocking=False)


class Desk:
    """One per process, used from one event loop. `cost`: bytes that a kept answer takes.

    Its threads are plain ones. A pool with a future for each search would hand over with two conditions and leave knots to the garbage
    collector, which stops everybody to untie them: nothing of a search may wait for that.
    """

    def __init__(self, settings: ServeSettings, cost: Callable[[Any], int] = lambda answer: 1000) -> None:
        self._settings = settings
        self._waiting: SimpleQueue[Flight | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []  # the bound on what runs
        self._flights: dict[Hashable, Flight] = {}
        self._answers: Kept[Any] = Kept(settings.cache_bytes, cost)
        self._mean_s = 0.05

    async def ask(self, key: Hashable, answer: Callable[[], Any], *, keep: Callable[[Any], bool]) -> Any:
        """`answer()` computed in a thread, or the kept result of an equal question (`key` names question and snapshot).

        Raises Overloaded when too many wait or this one waited too long; otherwise whatever `answer` raises. When everyone who
        waits for an answer has gone before it got a thread, it is not computed.
        """
        if (known := self._answers.get(key)) is not None:
            _HIT.inc()
            return known
        flight = self._flights.get(key)
        (_JOINED if flight else _MISS).inc()
        if flight is None:
            flight = self._take_off(key, answer, keep)
        told = flight.loop.create_future()
        flight.waiting.add(told)
        timer = flight.loop.call_later(self._settings.search_timeout_s, self._give_up, told)
        try:
            return await told
        finally:
            timer.cancel()
            flight.waiting.discard(told)
            if not flight.waiting and flight.take():  # it has no thread yet
                self._leave(flight)
            told = None  # an error in it would hold this frame, and the frame the error

    @property
    def in_flight(self) -> int:
        return len(self._flights)

    @property
    def full(self) -> bool:
        return self.in_flight >= self._settings.search_threads + self._settings.queue_depth

    def overloaded(self) -> Overloaded:
        """What to tell who is turned away."""
        SHED.labels("queue").inc()
        return Overloaded("Too many searches are waiting.", retry_after_s=self.wait_s, cure="Ask again in a moment.")

    @property
    def wait_s(self) -> int:
        """Whole seconds until the queue of now is worked off, by the mean of late."""
        return max(1, min(math.ceil(self.in_flight * self._mean_s / self._settings.search_threads), _LONGEST_WAIT_S))

    def close(self) -> None:
        """Nothing is computed any more; who waits for the rest is let go, and what runs is waited for, though not for ever: a thread that Python ends
        inside a native library may take the process with it."""
        for flight in [flight for flight in self._flights.values() if flight.take()]:
            self._leave(flight)
            for told in list(flight.waiting):
                told.cancel()
        for _ in self._threads:
            self._waiting.put(None)
        until = time.monotonic() + _PATIENCE_S
        for thread in self._threads:
            thread.join(max(until - time.monotonic(), 0.0))
        self._threads = []

    def _take_off(self, key: Hashable, answer: Callable[[], Any], keep: Callable[[Any], bool]) -> Flight:
        """Start the one computation for `key`. It outlives the request that started it: others may wait for it."""
        if self.full:
            raise self.overloaded()
        if not self._threads:
            self._threads = [
                threading.Thread(target=self._work, name=f"khung-search-{n}", daemon=True)
                for n in range(self._settings.search_threads)
            ]
            for thread in self._threads:
                thread.start()
        flight = self._flights[key] = Flight(key, answer, keep, asyncio.get_running_loop())
        self._waiting.put(flight)
        INFLIGHT.set(self.in_flight)
        return flight

    def _work(self) -> None:
        """What a thread does. One hand-over to it and one back: a search has no time for more."""
        while (flight := self._waiting.get()) is not None:
            if flight.take():
                self._fly(flight)
            flight = None

    def _fly(self, flight: Flight) -> None:
        began, answer, error = time.perf_counter(), None, None
        try:
            answer = flight.answer()
        except (StopIteration, SystemExit, KeyboardInterrupt) as raised:
            # The first no future takes, and who waits would never hear; the others would end the event loop, and with it the service.
            error = RuntimeError(f"A search ended by {type(raised).__name__}.")
            error.__cause__ = raised
        except BaseException as raised:  # noqa: BLE001 - whoever waits for the answer raises it
            error = raised
        with suppress(RuntimeError):  # the event loop is closed, and with it who waited
            flight.loop.call_soon_threadsafe(self._land, flight, answer, error, time.perf_counter() - began)
        error = None  # it holds this frame

    def _land(self, flight: Flight, answer: Any, error: BaseException | None, took_s: float) -> None:
        """In the event loop again: keep what came of it, and tell it to all who wait."""
        self._leave(flight)
        self._mean_s += _SMOOTHING * (took_s - self._mean_s)
        if error is None and flight.keep(answer):
            self._answers.put(flight.key, answer)
        for told in flight.waiting:
            if told.done():
                continue
            if error is None:
                told.set_result(answer)
            else:
                told.set_exception(error)

    def _give_up(self, told: "asyncio.Future[Any]") -> None:
        if not told.done():
            SHED.labels("timeout").inc()
            cure = "Ask again, or ask for less."
            told.set_exception(Overloaded("The search took too long.", retry_after_s=self.wait_s, cure=cure))

    def _leave(self, flight: Flight) -> None:
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]
            INFLIGHT.set(self.in_flight)
