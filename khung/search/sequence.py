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
    best = found[0][1].astype(np.float64)
    backs: list[np.ndarray] = []
    for (before, _), (after, scores), gap in zip(found, found[1:], gaps, strict=False):
        high = DEFAULT_GAP_MS if gap.max_ms is None else gap.max_ms
        best, back = _compiled()(
            before, after, best, scores, pts_ms, video, gap.min_ms, max(high, gap.min_ms), price_per_ms
        )
        backs.append(back)
    ends = np.flatnonzero(best > -np.inf)
    totals = np.maximum(best[ends] / len(found), 0.0)
    return totals, _followed([positions for positions, _ in found], backs, ends)


def _followed(positions: Sequence[np.ndarray], backs: Sequence[np.ndarray], ends: np.ndarray) -> np.ndarray:
    """The chains that end there, `(len(ends), events)`, read from their ends."""
    frames = np.empty((len(ends), len(positions)), np.int64)
    frames[:, -1] = positions[-1][ends]
    for event in range(len(backs) - 1, -1, -1):
        ends = backs[event][ends]
        frames[:, event] = positions[event][ends]
    return frames


@lru_cache(maxsize=1)
def _compiled() -> Any:
    import numba

    return numba.njit(cache=True, nogil=True)(_step)


def _step(before, after, best, scores, pts, video, low, high, price):
    """One event more: reached[i] = scores[i] + max over j of best[j] − price · apart, with low ≤ apart ≤ high, before[j] <
    after[i] and both in one video; back[i] is that j, or −1 with reached[i] = −∞. The maximum stands at the head of a queue
    whose keys best[j] + price · pts[j] fall from head to tail."""
    reached = np.full(len(after), -np.inf)
    back = np.full(len(after), -1, np.int32)
    queue = np.empty(len(before), np.int32)
    keys = np.empty(len(before), np.float64)
    head, tail, j, current = 0, 0, 0, -1
    for i in range(len(after)):
        frame = after[i]
        now = pts[frame]
        if video[frame] != current:
            current, head, tail = video[frame], 0, 0
            while j < len(before) and video[before[j]] < current:
                j += 1
        while j < len(before) and before[j] < frame and video[before[j]] == current and now - pts[before[j]] >= low:
            key = best[j] + price * pts[before[j]]
            if key > -np.inf:
                while tail > head and keys[tail - 1] < key:
                    tail -= 1
                queue[tail], keys[tail] = j, key
                tail += 1
            j += 1
        while tail > head and now - pts[before[queue[head]]] > high:
            head += 1
        if tail > head:
            reached[i] = scores[i] + keys[head] - price * now
            back[i] = queue[head]
    return reached, back
