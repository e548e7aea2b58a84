"""From scores to hits that say why: each channel's raw score, its normalised one, its share of the sum, and its reason."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from khung.records import ChannelScore, FrameRecord, Hit

if TYPE_CHECKING:
    from khung.search.engine import Answer


def hit_of(chain: Sequence[tuple[int, FrameRecord]], score: float, answers: Sequence["Answer"]) -> Hit:
    """The hit of a chain of `(vector id, record)`, one for each event; `score` is the whole chain's."""
    (first, record), *rest = chain
    following = tuple(
        Hit(step, _score(answer, vector_id), _channels(answer, vector_id, step))
        for (vector_id, step), answer in zip(rest, answers[1:], strict=True)
    )
    return Hit(record, score, _channels(answers[0], first, record) if answers else {}, chain=following)


def _channels(answer: "Answer", vector_id: int, record: FrameRecord) -> Mapping[str, ChannelScore]:
    scores = {}
    for name, found in answer.found.items():
        at = np.flatnonzero(found.ids == vector_id)
        if len(at) and name in answer.fused.shares:
            share = answer.fused.shares[name][np.searchsorted(answer.fused.ids, vector_id)]
            raw, normalised = float(found.raw[at[0]]), float(found.normalised[at[0]])
            scores[name] = ChannelScore(raw, normalised, float(share), found.why(record))
    return scores


def _score(answer: "Answer", vector_id: int) -> float:
    return float(answer.fused.scores[np.searchsorted(answer.fused.ids, vector_id)])
