"""“A, then B (then C)”: the best chain of frames in one video, exactly, by dynamic programming over all frames.

O(frames found for the events) with a monotonic queue of the best start in the window; a frame that was not found for an
event cannot stand for it, so only the found ones are looked at. A chain's score is the mean of its frames'
scores, less a small price for time between them, so that of two equal chains the tighter one wins.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from khung.search.parsed import Gap

DEFAULT_GAP_MS = 180_000
"""The longest time between two events when the question names none: three minutes."""
PRICE_PER_MS = 0.05 / 180_000
"""A chain whose gap is three minutes longer costs as much as .05 of one frame's score."""


def chains(
    found: Sequence[tuple[np.ndarray, np.ndarray]],
    pts_ms: np.ndarray,
    video: np.ndarray,
    gaps: Sequence[Gap],
    price_per_ms: float = PRICE_PER_MS,
) -> tuple[np.ndarray, np.ndarray]:
    """The best chain that ends at each frame of the last event.

    `found`: for each event its frames, int64 positions ascending in the order of (video, time), and their scores in (0, 1];
    `pts_ms` and `video`: of every position. Returns `(totals (m,), frames (m, events))`: scores in [0, 1] and positions.
    """
    positions, best = found[0][0], found[0][1].astype(np.float64)
    frames = positions[:, None]
    for (following, scores), gap in zip(found[1:], gaps, strict=True):
        high = DEFAULT_GAP_MS if gap.max_ms is None else gap.max_ms
        reached, back = _compiled()(
            positions, best, following, scores, pts_ms, video, gap.min_ms, max(high, gap.min_ms), price_per_ms
        )
        kept = np.flatnonzero(back >= 0)
        positions, best = following[kept], reached[kept]
        frames = np.column_stack([frames[back[kept]], positions])
    return np.maximum(best / len(found), 0.0), frames


@lru_cache(maxsize=1)
def _compiled() -> Any:
    import numba

    return numba.njit(cache=True, nogil=True)(_step)


def _step(before, best, after, scores, pts, video, low, high, price):
    """One event more: reached[i] = scores[i] + max over j of best[j] − price · apart, with low ≤ apart ≤ high, before[j] <
    after[i] and both in one video; back[i] is that j, or −1. The maximum stands at the head of a queue whose keys
    best[j] + price · pts[j] fall from head to tail."""
    reached = np.full(len(after), -np.inf)
    back = np.full(len(after), -1, np.int64)
    queue = np.empty(len(before), np.int64)
    keys = np.empty(len(before), np.float64)
    head, tail, j, current = 0, 0, 0, -1
    for i in range(len(after)):
        t = after[i]
        if video[t] != current:
            current, head, tail = video[t], 0, 0
            while j < len(before) and video[before[j]] < current:
                j += 1
        while j < len(before) and before[j] < t and video[before[j]] == current and pts[t] - pts[before[j]] >= low:
            key = best[j] + price * pts[before[j]]
            while tail > head and keys[tail - 1] < key:
                tail -= 1
            queue[tail], keys[tail] = j, key
            tail += 1
            j += 1
        while tail > head and pts[t] - pts[before[queue[head]]] > high:
            head += 1
        if tail > head:
            reached[i] = scores[i] + keys[head] - price * pts[t]
            back[i] = queue[head]
    return reached, back
