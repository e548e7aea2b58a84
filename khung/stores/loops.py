"""Loops for which NumPy has no call, compiled when first needed. What a loop means stands where it is written."""

import sys
from collections.abc import Callable
from functools import cache
from typing import Any

_FEW = 5_000  # rounds of a loop: some ten milliseconds in Python


@cache
def compiled(loop: Callable[..., Any], *, any_order: bool = False) -> Callable[..., Any]:
    """The loop as machine code, kept on disk where that may be, and run without holding other threads up. `any_order`: sums may be taken in any order, many terms
    at once."""
    import numba

    try:
        return numba.njit(cache=True, nogil=True, fastmath=any_order)(loop)
    except RuntimeError:  # no folder may be written to: then each process compiles for itself
        return numba.njit(nogil=True, fastmath=any_order)(loop)


def at_hand(loop: Callable[..., Any], rounds: int) -> Callable[..., Any]:
    """The loop compiled, or, for few rounds in a process that has no compiler yet, as it stands: to load it takes a second or two, for which a command
    that asks one question need not wait."""
    return loop if rounds < _FEW and "numba" not in sys.modules else compiled(loop)


def load_compiler() -> None:
    """From now on everything is compiled: for a process that answers many questions."""
    import numba  # noqa: F401
