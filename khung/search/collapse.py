"""A page without repetition: frames of one moment are shown once, and one video does not fill the page."""

from collections import defaultdict
from collections.abc import Iterable

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
    kept: list[int] = []
    of_video: dict[int, list[int]] = defaultdict(list)
    more: dict[int, int] = defaultdict(int)
    for position in ranked:
        video = int(timeline.video_index[position])
        mates = of_video[video]
        full = len(kept) >= need or (per_video is not None and len(mates) >= per_video)
        if full or any(_same(timeline, position, mate) for mate in mates):
            more[video] += 1
        else:
            mates.append(position)
            kept.append(position)
    return kept, more


def _same(timeline: Timeline, a: int, b: int) -> bool:
    if abs(int(timeline.pts_ms[a]) - int(timeline.pts_ms[b])) < SAME_MOMENT_MS:
        return True
    if timeline.shot_index[a] != timeline.shot_index[b]:
        return False
    return bin(int(np.bitwise_xor(timeline.phash[a], timeline.phash[b]))).count("1") <= SAME_SHOT_HAMMING
