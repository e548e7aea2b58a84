"""A page without repetition: frames of one moment are shown once, and one video does not fill the page."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from khung.stores import Timeline

SAME_MOMENT_MS = 2_000
SAME_SHOT_HAMMING = 12
"""Bits of the 64-bit perceptual hash by which two keyframes of one shot may differ and still look the same."""


def collapse(
    ranked: Iterable[int], timeline: Timeline, *, per_video: int | None, need: int
) -> tuple[list[int], dict[int, int]]:
    """The first `need` positions of `ranked` (best first) that say something new, and what each video has beyond.

    Dropped: a frame within 2 s of a better one of its video, or in the same shot and looking alike; all but `per_video` of a video. Returns
    `(positions, {video index: frames dropped})`; the counts cover all of `ranked`.
    """
    order = np.fromiter(ranked, np.int64)
    columns = (timeline.video_index, timeline.pts_ms, timeline.shot_index, timeline.phash)
    frames = zip(
        *(column[order].tolist() for column in columns), strict=True
    )  # plain ints: numpy's are slow one by one
    kept: list[int] = []
    of_video: dict[int, list[Sequence[int]]] = defaultdict(list)
    more: dict[int, int] = defaultdict(int)
    for position, (video, *frame) in zip(order.tolist(), frames, strict=True):
        mates = of_video[video]
        full = len(kept) >= need or (per_video is not None and len(mates) >= per_video)
        if full or any(_same(frame, mate) for mate in mates):
            more[video] += 1
        else:
            mates.append(frame)
            kept.append(position)
    return kept, more


def _same(a: Sequence[int], b: Sequence[int]) -> bool:
    """Frames as (pts_ms, shot, phash)."""
    if abs(a[0] - b[0]) < SAME_MOMENT_MS:
        return True
    return a[1] == b[1] and (a[2] ^ b[2]).bit_count() <= SAME_SHOT_HAMMING
