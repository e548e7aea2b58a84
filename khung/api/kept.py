"""What was worked out and may be asked for again, within so many bytes. Whatever it is, the caller knows.

What was asked for once lies before the door, and the oldest goes first; what is asked for again comes inside. However many questions are
asked only once, they push out none that is asked again and again (a segmented LRU: Karedla, Love, Wherry 1994).
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")
_INSIDE = 0.8  # of all bytes, for what was asked for again


class Kept(Generic[V]):
    """Values by key; `size` is what one takes, in bytes. One thread only."""

    def __init__(self, max_bytes: int, size: Callable[[V], int]) -> None:
        self.max_bytes, self._size = max_bytes, size
        self._once: OrderedDict[Hashable, V] = OrderedDict()
        self._again: OrderedDict[Hashable, V] = OrderedDict()
        self._bytes = self._bytes_again = 0

    def __len__(self) -> int:
        return len(self._once) + len(self._again)

    def get(self, key: Hashable) -> V | None:
        """The value, which counts as asked for again."""
        value = self._again.get(key)
        if value is not None:
            self._again.move_to_end(key)
        elif (value := self._once.pop(key, None)) is not None:
            self._let_in(key, value)
        return value

    def put(self, key: Hashable, value: V) -> None:
        """Keep it unless it is larger than all that may be kept; in the place of the one with the same key."""
        if (size := self._size(value)) > self.max_bytes:
            return self.drop(key)
        if key in self._again:
            self._bytes_again += size - self._size(self._again[key])
            self._bytes += size - self._size(self._again[key])
            self._again[key] = value
        else:
            self.drop(key)
            self._once[key] = value
            self._bytes += size
        self._make_room()

    def drop(self, key: Hashable) -> None:
        if (value := self._once.pop(key, None)) is not None:
            self._bytes -= self._size(value)
        elif (value := self._again.pop(key, None)) is not None:
            self._bytes -= self._size(value)
            self._bytes_again -= self._size(value)

    def _let_in(self, key: Hashable, value: V) -> None:
        self._again[key] = value
        self._bytes_again += self._size(value)
        while self._bytes_again > _INSIDE * self.max_bytes and len(self._again) > 1:
            oldest, left = self._again.popitem(last=False)
            self._bytes_again -= self._size(left)
            self._once[oldest] = left

    def _make_room(self) -> None:
        while self._bytes > self.max_bytes:
            self.drop(next(iter(self._once or self._again)))
