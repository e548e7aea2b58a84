"""Loops for which NumPy has no call, compiled when first needed. What a loop means stands where it is written."""

from collections.abc import Callable
from functools import cache
from typing import Any


@cache
def compiled(loop: Callable[..., Any], *, any_order: bool = False) -> Callable[..., Any]:
    """The loop as machine code, kept on disk, and run without holding other threads up. `any_order`: sums may be taken in any order, many terms
    at once."""
    import numba

    return numba.njit(cache=True, nogil=True, fastmath=any_order)(loop)
