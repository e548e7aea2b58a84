"""A page without repetition: frames of one moment are shown once, and one video does not fill the page."""

import numpy as np

from khung.search.loops import page
from khung.stores import Timeline
from khung.stores.loops import at_hand

SAME_MOMENT_MS = 2_000
SAME_SHOT_HAMMING = 12
"""Bits of the 64-bit perceptual hash by which two keyframes of one shot may differ and still look the same."""


def collapse(
    ranked: np.ndarray, timeline: Timeline, *, per_video: int | None, need: int
) -> tuple[np.ndarray, np.ndarray]:
    """The first `need` places in `ranked` (positions, best first) that say something new, and what each video has beyond.

    Dropped: a frame within 2 s of a better one of its video, or in the same shot and looking alike; all but `per_video` of a video. Returns
    int64 places, and by video how many frames were dropped, −1 where none was kept; the counts cover all of `ranked`.
    """
    t, most = timeline, per_video or len(timeline.vector_ids)
    columns = (t.video_index, t.pts_ms, t.shot_index, t.phash)
    return at_hand(page, len(ranked))(ranked, *columns, len(t.videos), most, need, SAME_MOMENT_MS, SAME_SHOT_HAMMING)
