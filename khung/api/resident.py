"""A snapshot that is open, with its engine, the number of requests that read it, and what lists show of its videos."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from khung.errors import NotFound
from khung.search.engine import Engine
from khung.shards.snapshot import Snapshot
from khung.stores import Timeline


@dataclass(eq=False, slots=True)
class Resident:
    """An open snapshot with its engine and the number of requests that read it."""

    snapshot: Snapshot
    engine: Engine
    since: float = field(default_factory=time.monotonic)  # of the engine
    readers: int = 0
    retired: bool = False
    used_at: float = 0.0  # time.monotonic()
    _asked_by: tuple[Engine | None, str] = (None, "")
    _gists: dict[str, "Gist"] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Of the encoder that asks the snapshot's own vectors; empty while there is none. Every request wants to know."""
        engine, known = self._asked_by
        if engine is not self.engine:
            own = self.snapshot.fingerprint
            known = own if self.engine.encoders[own] else ""
            self._asked_by = (self.engine, known)
        return known

    def gist(self, video_id: str) -> "Gist":
        """Raises NotFound."""
        if not self._gists:
            self._gists.update(_gists(self.snapshot.records.timeline()))
        try:
            return self._gists[video_id]
        except KeyError:
            raise NotFound(f"There is no video {video_id}.").known_as("no_video", video=video_id) from None


@dataclass(frozen=True, slots=True)
class Gist:
    """What a list of videos shows of one: how many keyframes, and the one in the middle."""

    keyframes: int
    frame_index: int
    phash: int


def _gists(timeline: Timeline) -> Iterator[tuple[str, Gist]]:
    starts = np.searchsorted(timeline.video_index, np.arange(len(timeline.videos) + 1))
    for at, video_id in enumerate(timeline.videos):
        first, stop = int(starts[at]), int(starts[at + 1])
        if stop > first:
            middle = (first + stop) // 2
            yield video_id, Gist(stop - first, int(timeline.frame_index[middle]), int(timeline.phash[middle]))
