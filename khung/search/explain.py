"""From scores to hits that say why: each channel's raw score, its normalised one, its share of the sum, and its reason."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from khung.records import ChannelScore, Hit, SealedRecord

if TYPE_CHECKING:
    from khung.search.answering import Answer


def hits_of(
    ids: np.ndarray,
    records: Sequence[Sequence[SealedRecord]],
    scores: Sequence[float],
    more: Sequence[int],
    answers: Sequence["Answer"],
) -> list[Hit]:
    """The hits of chains: `ids` int64 (n, steps) are vector ids and `records` theirs, one a step; `scores` are the chains';
    `more` frames of the same video were left out."""
    steps = list(zip(*records, strict=True)) if records else []
    told = [_channels(answer, ids[:, n], steps[n]) for n, answer in enumerate(answers) if steps]
    of_step = [_scores(answer, ids[:, n]) for n, answer in enumerate(answers)]
    return [
        Hit(
            chain[0],
            score,
            told[0][n] if told else {},
            more_in_video=left,
            chain=tuple(Hit(r, of_step[s][n], told[s][n]) for s, r in enumerate(chain) if s) if len(chain) > 1 else (),
        )
        for n, (chain, score, left) in enumerate(zip(records, scores, more, strict=True))
    ]


def _channels(answer: "Answer", ids: np.ndarray, records: Sequence[SealedRecord]) -> list[dict[str, ChannelScore]]:
    """By frame, what each channel that found it gave."""
    told: list[dict[str, ChannelScore]] = [{} for _ in records]
    at = np.searchsorted(answer.fused.ids, ids)
    for name, of_channel in answer.fused.places.items():
        places = of_channel[at]
        held = np.flatnonzero(places >= 0)
        if not len(held):
            continue
        found, places = answer.found[name], places[held]
        columns = (held, found.raw[places], found.normalised[places], answer.fused.shares[name][at[held]])
        why = found.why(ids[held], [records[n] for n in held.tolist()])
        for n, raw, normalised, share, said in zip(*(c.tolist() for c in columns), why, strict=True):
            told[n][name] = ChannelScore(raw, normalised, share, said)
    return told


def _scores(answer: "Answer", ids: np.ndarray) -> list[float]:
    return answer.fused.scores[np.searchsorted(answer.fused.ids, ids)].tolist()
