"""How much is done, not how long it takes: on a shared machine a stopwatch says little, and the same work is the same number of calls."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Effort:
    """Calls of functions, of Python and of C."""

    calls = 0

    def __call__(self, _frame: Any, event: str, _argument: Any) -> None:
        self.calls += event in ("call", "c_call")


@contextmanager
def counted() -> Iterator[Effort]:
    """What this thread does while the block runs. What goes on inside one call is not seen: where that could be without end (a regular
    expression, a parser) a test's own time-out stands beside this."""
    effort, before = Effort(), sys.getprofile()
    sys.setprofile(effort)
    try:
        yield effort
    finally:
        sys.setprofile(before)


def calls(work: Callable[[], Any]) -> int:
    """How many calls `work` makes in this thread."""
    with counted() as effort:
        work()
    return effort.calls
