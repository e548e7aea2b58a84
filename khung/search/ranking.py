"""From what was found to an order: single frames by score, or the best chain for each first frame. Reads no record.

Ties are broken by the frames' order, so answers are repeatable.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from khung.search.frames import Frames
from khung.search.fusion import Fused
from khung.search.loops import first_of_each
from khung.search.parsed import Gap
from khung.search.sequence import chains
from khung.stores.loops import at_hand
from khung.stores.ordering import best_first


@dataclass(frozen=True, slots=True)
class Ranking:
    """Chains of frames, best first: positions int64 (n, steps), one step unless it is a sequence, and scores (n,)."""

    frames: np.ndarray
    scores: np.ndarray

    @property
    def first(self) -> np.ndarray:
        return np.ascontiguousarray(self.frames[:, 0])  # compiled loops are made for one layout


def ranked(fused: Sequence[Fused], gaps: Sequence[Gap], frames: Frames) -> Ranking:
    """The frames found for one event, or for several the chains of them."""
    if len(fused) > 1:
        return _sequence(fused, gaps, frames)
    positions, scores = _scored(fused[0], frames)
    best, first = best_first(scores, positions, len(scores))
    return Ranking(first[:, None], best)


def listed(allowed: np.ndarray | None, frames: Frames) -> Ranking:
    """Where nothing is looked for: every frame that is allowed, in the order of time."""
    positions = np.sort(frames.positions(np.zeros(0, np.int64) if allowed is None else allowed))
    return Ranking(positions[:, None], np.zeros(len(positions)))


def _sequence(fused: Sequence[Fused], gaps: Sequence[Gap], frames: Frames) -> Ranking:
    """The best chain for each first frame."""
    timeline = frames.timeline
    found = chains([_in_order(one, frames) for one in fused], timeline.pts_ms, timeline.video_index, gaps)
    totals, best = best_first(
        found.totals, np.arange(len(found.totals)), len(found.totals)
    )  # they ascend by their ends
    whole = found.follow(best)
    first = at_hand(first_of_each, len(whole))(
        np.ascontiguousarray(whole[:, 0]), len(frames)
    )  # of each first frame its best
    return Ranking(whole[first], totals[first])


def _in_order(fused: Fused, frames: Frames) -> tuple[np.ndarray, np.ndarray]:
    """Positions, ascending, and scores of the frames with any score."""
    positions, scores = _scored(fused, frames)
    order = np.argsort(positions)
    return positions[order], scores[order]


def _scored(fused: Fused, frames: Frames) -> tuple[np.ndarray, np.ndarray]:
    """Positions and scores of the frames with any score, by id."""
    ids, scores = fused.ids, fused.scores
    if not (scored := scores > 0).all():
        ids, scores = ids[scored], scores[scored]
    positions = frames.positions(ids)
    if len(positions) < len(ids):  # a store that answers for other frames than the snapshot's
        scores = scores[frames.known(ids)]
    return positions, scores
