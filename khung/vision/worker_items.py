"""The items of one stream through a worker: which are unanswered, which are to be done again, and when that makes no sense any more.

No process is known here: `worker.py` feeds one, and tells of answers and deaths.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from khung.errors import DeviceLost, ModelError

END = object()


@dataclass(slots=True)
class Work:
    """The items of one stream: what is unanswered, what happened to it, how careful to be."""

    source: Iterator[Any]
    unanswered: deque = field(default_factory=deque)
    again: deque = field(default_factory=deque)  # unanswered when a child died: fed first
    first: int = 0  # the number of the first unanswered item
    careful: int = 0  # so many items are still fed alone, so that one that kills is known by its number
    deaths: int = 0  # since the last answer
    restarts: int = 0
    exhausted: bool = False
    alone: bool = False  # this attempt has had its one item

    def more(self) -> bool:
        """Whether another attempt is needed. It peeks: an attempt over nothing would still cost a round trip."""
        self.alone = False
        if not self.again and not self.exhausted:
            self._pull()
        return bool(self.again)

    def next(self) -> Any:
        """The next item to feed, or the end of this attempt."""
        if self.careful and self.alone:
            return END
        if not self.again and not self.exhausted:
            self._pull()
        if not self.again:
            return END
        self.alone = True
        self.unanswered.append(self.again.popleft())
        return self.unanswered[-1]

    def answered(self) -> None:
        self.unanswered.popleft()
        self.first += 1
        self.deaths = 0
        self.careful = max(0, self.careful - 1)

    def died(self, why: str, most_restarts: int) -> None:
        """Everything unanswered is to be done again. Raises DeviceLost when that makes no sense any more."""
        self.deaths += 1
        self.restarts += 1
        if self.deaths > 1 and self.careful:
            raise DeviceLost(
                f"Item {self.first} ended two worker processes ({why}).",
                cure="Leave it out, or look at the device's log.",
            )
        if self.restarts > most_restarts:
            raise DeviceLost(
                f"The worker ended {self.restarts} times ({why}).", cure="Look at the device and its driver."
            )
        self.careful = max(self.careful, len(self.unanswered), 1)
        self.again.extendleft(reversed(self.unanswered))
        self.unanswered.clear()

    def check_complete(self) -> None:
        if self.unanswered:
            raise ModelError(f"The model gave no answer to item {self.first}.")

    def _pull(self) -> None:
        item = next(self.source, END)
        if item is END:
            self.exhausted = True
        else:
            self.again.append(item)
