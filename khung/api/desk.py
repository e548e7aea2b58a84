"""The desk where searches queue: a bounded number at a time in threads, equal questions answered once, answers kept.

FAISS and tantivy release the interpreter but block their thread, so nothing of a search may run in the event loop.
What does not live here: what a search is. The desk sees a key and a function.
"""

import asyncio
import math
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from cachetools import LRUCache

from khung.errors import Overloaded
from khung.metrics import CACHE, INFLIGHT, SHED
from khung.settings import ServeSettings

_LONGEST_WAIT_S = 30
_SMOOTHING = 0.1  # of the mean duration


@dataclass(eq=False, slots=True)
class Flight:
    """One computation under way and how many wait for it."""

    task: "asyncio.Task[Any] | None" = None
    waiting: int = 0
    began: bool = False  # it has a thread; before that it can still be called off


class Desk:
    """One per process, used from one event loop. `cost`: bytes that a kept answer takes."""

    def __init__(self, settings: ServeSettings, cost: Callable[[Any], int] = lambda answer: 1000) -> None:
        self._settings = settings
        self._room = asyncio.Semaphore(settings.search_threads)
        self._threads = ThreadPoolExecutor(
            settings.search_threads, "khung-search"
        )  # as many: nothing else runs in them
        self._flights: dict[Hashable, Flight] = {}
        self._answers: LRUCache[Hashable, Any] = LRUCache(settings.cache_bytes, getsizeof=cost)
        self._mean_s = 0.05

    async def ask(self, key: Hashable, answer: Callable[[], Any], *, keep: Callable[[Any], bool]) -> Any:
        """`answer()` computed in a thread, or the kept result of an equal question (`key` names question and snapshot).

        Raises Overloaded when too many wait or this one waited too long; otherwise whatever `answer` raises. When everyone who
        waits for an answer has gone before it got a thread, it is not computed.
        """
        if key in self._answers:
            CACHE.labels("result", "hit").inc()
            return self._answers[key]
        flight = self._flights.get(key)
        CACHE.labels("result", "joined" if flight else "miss").inc()
        if flight is None:
            flight = self._take_off(key, answer, keep)
        flight.waiting += 1
        try:
            return await asyncio.wait_for(asyncio.shield(flight.task), self._settings.search_timeout_s)
        except TimeoutError as error:
            SHED.labels("timeout").inc()
            raise Overloaded(
                "The search took too long.", retry_after_s=self.wait_s, cure="Ask again, or ask for less."
            ) from error
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.began:
                flight.task.cancel()

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
        """Nothing is computed any more; what runs ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _take_off(self, key: Hashable, answer: Callable[[], Any], keep: Callable[[Any], bool]) -> Flight:
        """Start the one computation for `key`. It outlives the request that started it: others may wait for it."""
        settings = self._settings
        if self.in_flight >= settings.search_threads + settings.queue_depth:
            SHED.labels("queue").inc()
            raise Overloaded("Too many searches are waiting.", retry_after_s=self.wait_s, cure="Ask again in a moment.")
        flight = self._flights[key] = Flight()
        flight.task = asyncio.create_task(self._fly(flight, key, answer, keep))
        flight.task.add_done_callback(lambda done: self._land(key, done))
        INFLIGHT.set(self.in_flight)
        return flight

    async def _fly(self, flight: Flight, key: Hashable, answer: Callable[[], Any], keep: Callable[[Any], bool]) -> Any:
        async with self._room:
            flight.began, at = True, time.perf_counter()
            result = await asyncio.get_running_loop().run_in_executor(self._threads, answer)
            self._mean_s += _SMOOTHING * (time.perf_counter() - at - self._mean_s)
        if keep(result) and self._answers.getsizeof(result) <= self._answers.maxsize:
            self._answers[key] = result
        return result

    def _land(self, key: Hashable, flight: "asyncio.Task[Any]") -> None:
        self._flights.pop(key, None)
        INFLIGHT.set(self.in_flight)
        if not flight.cancelled():
            flight.exception()  # read, so that a failure nobody waits for any more is not reported by asyncio
