"""Waiting for what comes about by itself, on a machine that may be slow."""

import time
from collections.abc import Callable
from typing import Any

PATIENCE_S = 120.0


def until(true: Callable[[], Any], what: str = "it comes to be", patience_s: float = PATIENCE_S) -> Any:
    """The first answer that is true; fails when none comes in time."""
    end = time.monotonic() + patience_s
    while not (answer := true()):
        assert time.monotonic() < end, f"in vain: {what}"
        time.sleep(0.02)
    return answer
