"""A page without repetition."""

import numpy as np
import pytest

from khung.search import collapse as page
from khung.stores import Timeline


def timeline(frames: list[tuple[int, int, int, int]]) -> Timeline:
    """Frames as (video, pts_ms, shot, phash)."""
    columns = zip(*frames, strict=True)
    video, pts, shot, phash = (np.array(c, np.uint64 if n == 3 else np.int64) for n, c in enumerate(columns))
    count = int(video.max()) + 1
    return Timeline(
        np.arange(len(frames)),
        video.astype(np.int32),
        pts // 40,
        pts,
        shot,
        phash,
        tuple(f"v{n}" for n in range(count)),
        np.full(count, 10**6),
    )


def collapse(ranked, tl: Timeline, **limits) -> tuple[list[int], dict[int, int]]:
    """The kept ones as positions."""
    positions = np.array(list(ranked), np.int64)
    kept, more = page.collapse(positions, tl, **limits)
    shown = set(tl.video_index[positions[kept]].tolist())
    assert {video for video, count in enumerate(more) if count >= 0} == shown
    return positions[kept].tolist(), {video: int(count) for video, count in enumerate(more) if count > 0}


def test_one_moment_is_shown_once_by_its_best_frame():
    tl = timeline([(0, 0, 0, 0), (0, 1900, 1, 2**64 - 1), (0, 2000, 2, 2**64 - 1)])
    assert collapse([1, 0, 2], tl, per_video=None, need=10) == ([1], {0: 2})
    assert collapse([0, 2, 1], tl, per_video=None, need=10) == ([0, 2], {0: 1})


def test_alike_frames_of_one_shot_are_one_but_not_of_two_shots_or_videos():
    tl = timeline([(0, 0, 0, 0), (0, 60_000, 0, 0b1111), (0, 120_000, 1, 0), (1, 0, 0, 0), (0, 180_000, 0, 2**64 - 1)])
    assert collapse([0, 1, 2, 3, 4], tl, per_video=None, need=10)[0] == [0, 2, 3, 4]


def test_a_video_is_capped_and_what_it_has_more_is_counted():
    tl = timeline([(0, 10_000 * n, n, 0) for n in range(5)] + [(1, 0, 0, 0)])
    assert collapse([0, 1, 2, 3, 4, 5], tl, per_video=2, need=10) == ([0, 1, 5], {0: 3})


def test_no_more_than_needed_but_all_are_counted():
    tl = timeline([(0, 10_000 * n, n, 0) for n in range(5)])
    assert collapse(range(5), tl, per_video=None, need=2) == ([0, 1], {0: 3})
    assert collapse([], tl, per_video=None, need=2) == ([], {})


def test_the_page_is_filled_from_beyond_the_first_frames_that_are_looked_at():
    alike = [(0, 10, 0, 0)] * 1000
    tl = timeline([*alike, (1, 0, 0, 0), (2, 0, 0, 0)])
    assert collapse(range(1002), tl, per_video=None, need=3) == ([0, 1000, 1001], {0: 999})


@pytest.mark.parametrize("seed", range(8))
def test_it_is_what_comparing_all_with_all_gives(seed):
    rng = np.random.default_rng(seed)
    tl = timeline(
        [
            (n // 50, int(t), int(t) // 9000, int(rng.choice([0, 7, 2**40 - 1])))
            for n, t in enumerate(rng.integers(0, 60_000, 300))
        ]
    )
    ranked, most, need = rng.permutation(300)[:200], [None, 1, 3][seed % 3], [5, 1000][seed % 2]
    kept: list[int] = []
    for frame in ranked.tolist():
        mates = [k for k in kept if tl.video_index[k] == tl.video_index[frame]]
        near = any(abs(int(tl.pts_ms[k] - tl.pts_ms[frame])) < page.SAME_MOMENT_MS for k in mates)
        apart = [
            int(tl.phash[k] ^ tl.phash[frame]).bit_count() for k in mates if tl.shot_index[k] == tl.shot_index[frame]
        ]
        if not near and min(apart, default=64) > page.SAME_SHOT_HAMMING and (most is None or len(mates) < most):
            kept.append(frame)
    assert collapse(ranked, tl, per_video=most, need=need)[0] == kept[:need]
