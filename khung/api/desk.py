"""The desk where searches queue: a bounded number at a time in threads, equal questions answered once, answers kept.

FAISS and tantivy release the interpreter but block their thread, so nothing of a search may run in the event loop.
What does not live here: what a search is. The desk sees a key and a function.
"""

import asyncio
from collections.abc import Callable, Hashable
from typing import Any

import anyio
import anyio.to_thread
from cachetools import LRUCache

from khung.errors import Overloaded
from khung.metrics import CACHE
from khung.settings import ServeSettings


class Desk:
    """One per process, used from one event loop."""

    def __init__(self, settings: ServeSettings) -> None:
        self._settings = settings
        self._limiter: anyio.CapacityLimiter | None = None  # made inside the loop that uses it
        self._flights: dict[Hashable, asyncio.Task[Any]] = {}
        self._answers: LRUCache[Hashable, Any] = LRUCache(max(settings.cache_entries, 1))

    async def ask(self, key: Hashable, answer: Callable[[], Any], *, keep: Callable[[Any], bool]) -> Any:
        """`answer()` computed in a thread, or the kept result of an equal question (`key` names question and snapshot).

        Raises Overloaded when too many wait or this one waited too long; otherwise whatever `answer` raises.
        """
        if key in self._answers:
            CACHE.labels("result", "hit").inc()
            return self._answers[key]
        flight = self._flights.get(key)
        CACHE.labels("result", "joined" if flight else "miss").inc()
        if flight is None:
            flight = self._take_off(key, answer, keep)
        try:
            return await asyncio.wait_for(asyncio.shield(flight), self._settings.search_timeout_s)
        except TimeoutError as error:
            raise Overloaded("The search took too long.", cure="Ask again, or ask for less.") from error

    @property
    def in_flight(self) -> int:
        return len(self._flights)

    def _take_off(self, key: Hashable, answer: Callable[[], Any], keep: Callable[[Any], bool]) -> asyncio.Task[Any]:
        """Start the one computation for `key`. It outlives the request that started it: others may wait for it."""
        settings = self._settings
        if self.in_flight >= settings.search_threads + settings.queue_depth:
            raise Overloaded("Too many searches are waiting.", cure="Ask again in a second.")
        flight = asyncio.create_task(self._fly(key, answer, keep))
        self._flights[key] = flight
        flight.add_done_callback(lambda done: self._land(key, done))
        return flight

    async def _fly(self, key: Hashable, answer: Callable[[], Any], keep: Callable[[Any], bool]) -> Any:
        self._limiter = self._limiter or anyio.CapacityLimiter(self._settings.search_threads)
        result = await anyio.to_thread.run_sync(answer, limiter=self._limiter)
        if self._settings.cache_entries and keep(result):
            self._answers[key] = result
        return result

    def _land(self, key: Hashable, flight: asyncio.Task[Any]) -> None:
        self._flights.pop(key, None)
        if not flight.cancelled():
            flight.exception()  # read, so that a failure nobody waits for any more is not reported by asyncio
