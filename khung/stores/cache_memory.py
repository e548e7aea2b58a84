"""The QueryCache of one process: bounded by bytes, least recently used goes first, a time to live for each value."""

import threading
import time
from collections.abc import Callable

from cachetools import TLRUCache


class MemoryCache:
    """Thread-safe. A value larger than the whole cache is not kept."""

    def __init__(self, max_bytes: int = 64 * 2**20, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._values: TLRUCache[str, tuple[bytes, float]] = TLRUCache(
            max_bytes, ttu=lambda _key, value, now: now + value[1], timer=clock, getsizeof=_cost
        )

    def get(self, key: str) -> bytes | None:
        with self._lock:
            found = self._values.get(key)
            return None if found is None else found[0]

    def put(self, key: str, value: bytes, *, ttl_s: float) -> None:
        with self._lock:
            if _cost((value, ttl_s)) <= self._values.maxsize:
                self._values[key] = (value, ttl_s)


def _cost(entry: tuple[bytes, float]) -> int:
    return len(entry[0]) + 200  # the key and the bookkeeping, about
