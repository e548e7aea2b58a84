"""Python's garbage collector in a process that answers: it may not stop everything for a tenth of a second.

A full collection looks at every object, and what a service keeps (records, answers, routes) only grows, so each stops all threads
for longer: 100 ms after a few hundred searches. What has lived through one is therefore put out of its sight (`gc.freeze`), and a
collection costs what is new since the last. What dies in a cycle after that is not found: when nobody searches, everything is
looked at once in a while. The young are looked at after 10,000 new objects instead of 700: one answer alone has thousands, most of
which are gone by themselves a moment later; it saves a tenth of a search.
"""

import gc
import time
from typing import Any

_SHORT_S = 0.01  # a collection that takes no longer stops nobody
_YOUNG = 10_000  # new objects
EVERY_S = 1800.0  # between two looks at everything while nobody searches


class Collector:
    """One per process. Of this process everything is its own: nothing else may freeze or thaw."""

    def __init__(self) -> None:
        self._began = 0.0
        self._thawed_at = time.monotonic()
        self._frozen = False

    def install(self) -> "Collector":
        gc.callbacks.append(self._heard)
        gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])
        return self

    def look_at_everything(self) -> bool:
        """If it is time to. Stops all threads for as long as it takes; True when it was done."""
        if not self._frozen or time.monotonic() - self._thawed_at < EVERY_S:
            return False
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        self._thawed_at, self._frozen = time.monotonic(), False
        return True

    def _heard(self, phase: str, info: dict[str, Any]) -> None:
        if info["generation"] < 2:
            return
        if phase == "start":
            self._began = time.perf_counter()
        elif time.perf_counter() - self._began > _SHORT_S:
            gc.freeze()
            self._frozen = True
