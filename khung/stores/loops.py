"""Loops for which NumPy has no call, compiled when first needed. What a loop means stands where it is written."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Loop = Callable[..., Any]

_FEW = 5_000  # rounds of a loop: some ten milliseconds in Python
_made: dict[tuple[Loop, bool], Any] = {}
_making = threading.Lock()
_here = threading.local()


def compiled(loop: Loop, *, any_order: bool = False) -> Loop:
    """The loop as machine code, kept on disk where that may be, and run without holding other threads up. `any_order`: sums may be taken in any order, many terms
    at once."""
    name = loop, any_order
    if name not in _made:
        with _making:
            if name not in _made:  # another thread may have been first
                _made[name] = _machine_code(loop, any_order)
    return _made[name]


def _machine_code(loop: Loop, any_order: bool) -> Loop:
    import numba

    try:
        return numba.njit(cache=True, nogil=True, fastmath=any_order)(loop)
    except RuntimeError:  # no folder may be written to: then each process compiles for itself
        return numba.njit(nogil=True, fastmath=any_order)(loop)


def at_hand(loop: Loop, rounds: int) -> Loop:
    """The loop compiled, if it is already or has many rounds to do; otherwise as it stands. To load the compiler and to compile take a second or two each: neither a
    command that asks one question shall wait for them, nor a search while a service warms up."""
    made = _made.get((loop, False))
    ready = made is not None and made.overloads
    return compiled(loop) if ready or rounds >= _FEW or getattr(_here, "thorough", False) else loop


@contextmanager
def compiling() -> Iterator[None]:
    """Within, this thread compiles every loop, however few its rounds: for a process that will answer many questions."""
    _here.thorough = True
    try:
        yield
    finally:
        _here.thorough = False
