"""Re-encoded copies: which video a new one was made from, and which frames of the two show the same.

Found by the perceptual hashes at one a second; what is done with it is the caller's business.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from khung.records import Keyframe, Video
from khung.stores.library import Library
from khung.video.identity import SAME_PICTURE, from_hex, match_sequences
from khung.video.phash import distance

SAMPLES = 8
NEAR_MS = 500  # the two pick their keyframes at moments of their own
SAME_FRAME = 8  # bits of 64; as far as near-duplicates within a shot may be apart


@dataclass(frozen=True, slots=True)
class Origin:
    """The video that another is a copy or an excerpt of; `offset_ms` added to its times gives the other's."""

    video_id: str
    offset_ms: int


class Copies:
    """The sequences of a library, read once. Thread-safe; what is added is found by those that come after."""

    def __init__(self, library: Library) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, str] = {}
        for video_id in library.video_ids():
            self.add(library.video(video_id))

    def add(self, video: Video) -> None:
        """A video that is itself a copy is no origin: its own origin is."""
        with self._lock:
            self._known.pop(video.video_id, None)
            if video.sequence_hash and not video.derived_from:
                self._known[video.video_id] = video.sequence_hash

    def origin(self, video: Video) -> Origin | None:
        """The known video that covers at least 0.9 of this one, the first by name; None when there is none."""
        with self._lock:
            others = {v: sequence for v, sequence in self._known.items() if v != video.video_id}
        for other in _likely(video.sequence_hash, others):
            if match := match_sequences(video.sequence_hash, others[other]):
                return Origin(other, match.offset_s * 1000)
        return None


def same_frames(ours: Sequence[Keyframe], theirs: Sequence[Keyframe], offset_ms: int) -> dict[int, int]:
    """Our frame index → the index of the keyframe of the origin that shows the same: within half a second of it, and the
    nearest look among those."""
    found = {}
    for frame in ours:
        near = [t for t in theirs if abs(t.pts_ms + offset_ms - frame.pts_ms) <= NEAR_MS]
        best = min(near, key=lambda t: distance(t.phash, frame.phash), default=None)
        if best and distance(best.phash, frame.phash) <= SAME_FRAME:
            found[frame.frame_index] = best.frame_index
    return found


def _likely(sequence: str, others: dict[str, str]) -> list[str]:
    """Those in which most of some seconds of ours occur, whatever their order: all are asked at once, few are compared."""
    ours = from_hex(sequence)
    if not len(ours) or not others:
        return []
    names = sorted(others)
    hashes = [from_hex(others[name]) for name in names]
    everything = np.concatenate(hashes)
    starts = np.concatenate([[0], np.cumsum([len(h) for h in hashes])[:-1]])
    sample = ours[np.linspace(0, len(ours) - 1, min(SAMPLES, len(ours))).astype(int)]
    seen = sum(np.add.reduceat(np.bitwise_count(everything ^ one) <= SAME_PICTURE, starts) > 0 for one in sample)
    return [name for name, count in zip(names, seen, strict=True) if count >= len(sample) / 2]
