"""“A, then B (then C)”: the best chain of frames in one video, exactly, by dynamic programming over all frames.

O(frames found for the events) with a queue that knows the best start in the window; a frame that was not found for an
event cannot stand for it, so only the found ones are looked at. A chain's score is the mean of its frames'
scores, less a small price for time between them, so that of two equal chains the tighter one wins.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from khung.search.parsed import Gap
from khung.stores.loops import at_hand

DEFAULT_GAP_MS = 180_000
"""The longest time between two events when the question names none: three minutes."""
PRICE_PER_MS = 0.05 / 180_000
"""A chain whose gap is three minutes longer costs as much as .05 of one frame's score."""


@dataclass(frozen=True, slots=True, eq=False)
class Chains:
    """For each frame of the last event that ends a chain, the best one, in the order of their ends. Only `follow` reads whole
    chains: of a million few are shown."""

    totals: np.ndarray  # float32 (m,) in [0, 1]
    _ends: np.ndarray  # where in the last event's positions the chains end
    _found: Sequence[np.ndarray]  # of each event its positions
    _backs: Sequence[np.ndarray]  # of each event after the first: which frame of the one before it comes from

    def follow(self, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Some chains, int64 positions `(len(rows), events)`."""
        at = self._ends[rows]
        steps = [self._found[-1][at]]
        for positions, back in zip(self._found[-2::-1], self._backs[::-1], strict=True):
            at = back[at]
            steps.append(positions[at])
        return np.stack(steps[::-1], axis=1).astype(np.int64)


def chains(
    found: Sequence[tuple[np.ndarray, np.ndarray]],
    pts_ms: np.ndarray,
    video: np.ndarray,
    gaps: Sequence[Gap],
    price_per_ms: float = PRICE_PER_MS,
) -> Chains:
    """The best chain that ends at each frame of the last event.

    `found`: for each event its frames, int64 positions ascending in the order of (video, time), and their scores in (0, 1];
    `pts_ms` and `video`: of every position. A chain's total is in [0, 1].
    """
    rounds, longest = sum(len(positions) for positions, _ in found), max(len(positions) for positions, _ in found)
    step, ended = at_hand(_step, rounds), at_hand(_ended, rounds)
    # Two pieces for all steps: to be given fresh memory for each may take as long as the step.
    reached, backs = np.empty((2, longest), np.float32), np.empty((len(found), longest), np.int32)
    best, turn = np.ascontiguousarray(found[0][1], np.float32), 0
    for (before, _), (after, scores), gap, back in zip(found, found[1:], gaps, backs, strict=False):
        high = DEFAULT_GAP_MS if gap.max_ms is None else gap.max_ms
        window = (gap.min_ms, max(high, gap.min_ms))
        to = reached[turn, : len(after)]
        step(before, after, best, scores, pts_ms, video, *window, price_per_ms, to, back[: len(after)])
        best, turn = to, 1 - turn
    totals, ends = reached[turn], backs[-1]
    count = ended(best, len(found), totals, ends)
    return Chains(totals[:count], ends[:count], [positions for positions, _ in found], backs[:-1])


def _step(before, after, best, scores, pts, video, low, high, price, reached, back):
    """One event more: fills reached[i] = scores[i] + max over j of best[j] − price · apart, with low ≤ apart ≤ high, before[j] <
    after[i] and both in one video; back[i] is that j, the earliest of equals, or −1 with reached[i] = −∞.

    The maximum of a window whose ends only move on, as a queue of two stacks: of the frames [first, middle) `most` holds the greatest key
    best + price · pts from each to `middle`, of [middle, j) only the greatest of all is known; when the first are used up, one walk back
    over the others makes them the first. Its branches are foreseeable, those of a monotonic queue are not. Each video's begins anew at
    `base`, so it stays in the processor's cache. Numbers that index are unsigned: else each index is tested for counting from the end."""
    one, count = np.uint64(1), np.uint64(len(before))
    keys, most, places = np.empty(len(before)), np.empty(len(before)), np.empty(len(before), np.int32)
    base = first = middle = j = np.uint64(0)
    current, newest, newest_at = -1, -np.inf, np.int32(-1)
    for i in range(len(after)):
        frame = np.uint64(after[i])
        now = pts[frame]
        if video[frame] != current:
            current, newest = video[frame], -np.inf
            while j < count and video[np.uint64(before[j])] < current:
                j += one
            base = first = middle = j
        while j < count and np.uint64(before[j]) < frame:  # so in this video: those of earlier ones are behind j
            then = pts[np.uint64(before[j])]
            if now - then < low:
                break
            key = best[j] + price * then
            keys[j - base] = key
            if key > newest:
                newest, newest_at = key, np.int32(j)
            j += one
        while first < j and now - pts[np.uint64(before[first])] > high:
            if first == middle:
                middle, newest = j, -np.inf
                greatest, place, k = -np.inf, np.int32(-1), j
                while k > first:
                    k -= one
                    if keys[k - base] >= greatest:
                        greatest, place = keys[k - base], np.int32(k)
                    most[k - base], places[k - base] = greatest, place
            first += one
        key, at = newest, newest_at
        if first < middle and most[first - base] >= newest:
            key, at = most[first - base], places[first - base]
        if key > -np.inf:
            reached[i], back[i] = scores[i] + key - price * now, at
        else:
            reached[i], back[i] = -np.inf, -1


def _ended(best, events, totals, ends):
    """How many chains there are; their totals, and where they end, are written to the first places of `totals` and `ends`."""
    n = 0
    for i in range(len(best)):
        if best[i] > -np.inf:
            totals[n], ends[n] = max(best[i] / events, 0.0), i
            n += 1
    return n
