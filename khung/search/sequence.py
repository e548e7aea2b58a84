"""“A, then B (then C)”: the best chain of frames in one video, exactly, by dynamic programming over all frames.

O(events × frames) with a monotonic queue of the best start in the window. A chain's score is the mean of its frames'
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
    scores: np.ndarray, pts_ms: np.ndarray, starts: np.ndarray, gaps: Sequence[Gap], price_per_ms: float = PRICE_PER_MS
) -> tuple[np.ndarray, np.ndarray]:
    """The best chain that ends at each frame.

    `scores` float32 `(events, n)` over frames in the order of (video, time), 0 where an event was not found; `starts`: where each video begins, and n.
    Returns `(total (n,), back (events - 1, n))`: the chain's score in [0, 1] (−inf: none ends here) and, for
    event e + 1 at a frame, the frame of event e.
    """
    low = np.array([gap.min_ms for gap in gaps], np.int64)
    high = np.array([DEFAULT_GAP_MS if g.max_ms is None else g.max_ms for g in gaps], np.int64)
    return _compiled()(
        np.ascontiguousarray(scores, np.float32),
        np.ascontiguousarray(pts_ms, np.int64),
        np.ascontiguousarray(starts, np.int64),
        low,
        np.maximum(low, high),
        price_per_ms,
    )


def trace(back: np.ndarray, last: int) -> list[int]:
    """The frames of the chain that ends at `last`, in order."""
    chain = [last]
    for row in back[::-1]:
        chain.append(int(row[chain[-1]]))
    return chain[::-1]


def origins(back: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The first frame of the chain that ends at each of `ends`."""
    for row in back[::-1]:
        ends = row[ends]
    return ends


@lru_cache(maxsize=1)
def _compiled() -> Any:
    import numba

    return numba.njit(cache=True, nogil=True)(_best_chains)


def _best_chains(scores, pts, starts, low, high, price):
    """Per video and event: best[t] = score[t] + max over s with low ≤ pts[t] − pts[s] ≤ high, s < t, of
    best[s] − price · (pts[t] − pts[s]). Only frames with a score count. The maximum is kept in a queue whose keys
    best[s] + price · pts[s] fall from head to tail."""
    events, n = scores.shape
    back = np.full((events - 1, n), -1, np.int64)
    best = np.full(n, -np.inf, np.float64)
    for t in range(n):
        if scores[0, t] > 0:
            best[t] = scores[0, t]
    queue = np.empty(n, np.int64)
    for e in range(1, events):
        reached = np.full(n, -np.inf, np.float64)
        for v in range(len(starts) - 1):
            head, tail, s = 0, 0, starts[v]
            for t in range(starts[v], starts[v + 1]):
                while s < t and pts[t] - pts[s] >= low[e - 1]:
                    if best[s] > -np.inf:
                        key = best[s] + price * pts[s]
                        while tail > head and best[queue[tail - 1]] + price * pts[queue[tail - 1]] < key:
                            tail -= 1
                        queue[tail] = s
                        tail += 1
                    s += 1
                while tail > head and pts[t] - pts[queue[head]] > high[e - 1]:
                    head += 1
                if tail > head and scores[e, t] > 0:
                    reached[t] = scores[e, t] + best[queue[head]] - price * (pts[t] - pts[queue[head]])
                    back[e - 1, t] = queue[head]
        best = reached
    for t in range(n):
        best[t] = max(best[t] / events, 0.0) if best[t] > -np.inf else -np.inf
    return best, back
