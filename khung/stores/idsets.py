"""Sets of vector ids as ascending arrays: what filters hand from store to store."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np
from cachetools import LRUCache

T = TypeVar("T")

_FILTERS = 16  # sets whose form in a store is remembered


def is_in(values: np.ndarray, ascending: np.ndarray) -> np.ndarray:
    """Which of the values stand in the ascending array (bool)."""
    if not len(ascending):
        return np.zeros(len(values), bool)
    places = np.minimum(np.searchsorted(ascending, values), len(ascending) - 1)
    return ascending[places] == values


class ByFilter(Generic[T]):
    """What a store makes of a set of allowed ids. A searcher keeps a filter for many questions: the latest are remembered, each with its
    array, so that the array's address stays its own. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: LRUCache[int, tuple[np.ndarray, T]] = LRUCache(_FILTERS)

    def known(self, allowed: np.ndarray, make: Callable[[], T]) -> T:
        """What was made of that very array, or is made now."""
        with self._lock:
            found = self._made.get(id(allowed))
        if found is None:
            found = (allowed, make())
            with self._lock:
                self._made[id(allowed)] = found
        return found[1]
