"""A page without repetition: frames of one moment are shown once, and one video does not fill the page."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from khung.stores import Timeline

SAME_MOMENT_MS = 2_000
SAME_SHOT_HAMMING = 12
"""Bits of the 64-bit perceptual hash by which two keyframes of one shot may differ and still look the same."""
_AT_ONCE = 256  # frames whose columns are fetched together: a page is full long before the list ends


def collapse(
    ranked: np.ndarray, timeline: Timeline, *, per_video: int | None, need: int
) -> tuple[np.ndarray, dict[int, int]]:
    """The first `need` places in `ranked` (positions, best first) that say something new, and what each video has beyond.

    Dropped: a frame within 2 s of a better one of its video, or in the same shot and looking alike; all but `per_video` of a video. Returns
    `(places, {video index: frames dropped})`; the counts cover all of `ranked`.
    """
    kept: list[int] = []
    of_video: dict[int, list[Sequence[int]]] = defaultdict(list)
    columns = (timeline.video_index, timeline.pts_ms, timeline.shot_index, timeline.phash)
    for start in range(0, len(ranked), _AT_ONCE):
        if len(kept) >= need:
            break
        part = ranked[start : start + _AT_ONCE]
        frames = zip(*(column[part].tolist() for column in columns), strict=True)  # numpy's ints are slow one by one
        for place, (video, *frame) in enumerate(frames, start):
            mates = of_video[video]
            full = per_video is not None and len(mates) >= per_video
            if not full and not any(_same(frame, mate) for mate in mates):
                mates.append(frame)
                kept.append(place)
                if len(kept) == need:
                    break
    places = np.array(kept, np.int64)
    return places, _beyond(timeline.video_index[ranked], places)


def _beyond(videos: np.ndarray, kept: np.ndarray) -> dict[int, int]:
    """Of each video among those kept, how many frames were not."""
    shown, counts = np.unique(videos[kept], return_counts=True)
    everywhere = np.bincount(videos, minlength=int(shown[-1]) + 1 if len(shown) else 0)
    return {int(v): int(everywhere[v] - n) for v, n in zip(shown, counts, strict=True) if everywhere[v] > n}


def _same(a: Sequence[int], b: Sequence[int]) -> bool:
    """Frames as (pts_ms, shot, phash)."""
    if abs(a[0] - b[0]) < SAME_MOMENT_MS:
        return True
    return a[1] == b[1] and (a[2] ^ b[2]).bit_count() <= SAME_SHOT_HAMMING
