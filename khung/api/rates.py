"""How often one caller may ask: the generic cell rate algorithm (GCRA, ITU-T I.371) on the monotonic clock.

One number a caller, so no thread, no store and no wall clock whose jump would lock people out. Each worker process counts for
itself; `khung serve` gives each its part of the rate.
"""

import math
import re
import time
from collections.abc import Callable

from cachetools import LRUCache

from khung.errors import ConfigError, TooMany
from khung.metrics import SHED

_CALLERS = 10_000
_RATE = re.compile(r"^(\d{1,9})/(second|minute|hour)$")
_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0}


class Rate:
    """`text` like `600/minute`: so many at once, and as many again over each such time. Empty: no limit. Raises ConfigError."""

    def __init__(self, text: str, *, share: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        match = _RATE.match(text)
        if text and (not match or not int(match[1])):
            raise ConfigError(f"“{text}” is not a rate.", cure="Write it like 600/minute.")
        self._clock = clock
        self._window = _SECONDS[match[2]] if match else 0.0
        self._each = self._window / max(int(match[1]) / share, 1) if match else 0.0  # seconds
        self._due: LRUCache[str, float] = LRUCache(_CALLERS)  # when the caller's bucket will be empty again

    def take(self, caller: str) -> None:
        """Count one request. Raises TooMany, which says when one will be taken again."""
        if not self._each:
            return
        now = self._clock()
        due = max(self._due.get(caller, now), now) + self._each
        if due - now > self._window + 1e-9:
            SHED.labels("rate").inc()
            wait = math.ceil(due - now - self._window)
            raise TooMany("You ask more often than is allowed here.", retry_after_s=max(wait, 1), cure="Wait a little.")
        self._due[caller] = due
