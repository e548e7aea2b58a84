"""How good a ranking is: plain functions over ranked ids and relevant ids, averaged by the caller.

Definitions as in E. Voorhees & D. Harman, “TREC: Experiment and Evaluation in Information Retrieval”, 2005.
"""

from collections.abc import Collection, Mapping, Sequence
from math import log2


def reciprocal_rank(ranked: Sequence[str], relevant: Collection[str]) -> float:
    """1 / rank of the first relevant id; 0 when there is none."""
    return next((1 / rank for rank, one in enumerate(ranked, 1) if one in relevant), 0.0)


def recall_at(k: int, ranked: Sequence[str], relevant: Collection[str]) -> float:
    """The share of the relevant ids among the first `k`. Raises ValueError when nothing is relevant."""
    if not relevant:
        raise ValueError("Recall of nothing is not defined: the topic has no relevant id.")
    return len(set(ranked[:k]) & set(relevant)) / len(set(relevant))


def precision_at(k: int, ranked: Sequence[str], relevant: Collection[str]) -> float:
    """The share of relevant ids among the first `k` places, empty places counted as wrong."""
    return sum(one in relevant for one in ranked[:k]) / k


def ndcg_at(k: int, ranked: Sequence[str], gains: Mapping[str, float]) -> float:
    """Discounted gain of the first `k` over the best possible (K. Järvelin & J. Kekäläinen, 2002); 0 when nothing gains."""
    best = sum(g / log2(n + 2) for n, g in enumerate(sorted(gains.values(), reverse=True)[:k]))
    got = sum(gains.get(one, 0.0) / log2(n + 2) for n, one in enumerate(ranked[:k]))
    return got / best if best else 0.0


def tied_reciprocal_rank(scores: Mapping[str, float], relevant: str) -> float:
    """The expected reciprocal rank of one relevant id when equal scores stand in random order; 0 when it has no score."""
    if relevant not in scores:
        return 0.0
    mine = scores[relevant]
    above = sum(s > mine for s in scores.values())
    tied = sum(s == mine for s in scores.values())
    return sum(1 / (above + n) for n in range(1, tied + 1)) / tied


AIC_CUTS = (1, 5, 20, 50, 100)


def aic_score(ranked: Sequence[str], gains: Mapping[str, float]) -> float:
    """The HCMC AI Challenge's score of one query: the best R-score among the first k, averaged over k = 1, 5, 20, 50, 100. The
    R-score of a frame is its gain, at most 1: a frame of the wanted moment is wholly right."""
    scores = [min(gains.get(one, 0.0), 1.0) for one in ranked[: max(AIC_CUTS)]]
    return sum(max(scores[:k], default=0.0) for k in AIC_CUTS) / len(AIC_CUTS)


def dres_score(
    rank: int, *, task_s: float = 300.0, typing_s: float = 15.0, look_s: float = 0.5, wrong: int = 0
) -> float:
    """What DRES would give a known-item search [0, 1000], for a searcher who types one question, looks at the hits in their order
    and sends the right one when it comes: 500 + 500 · (share of the time left) − 100 for each wrong answer before, at least 0.

    The searcher is a model, not a measurement: one question, no browsing. `rank` 0: never seen.
    """
    took = typing_s + look_s * rank
    if rank < 1 or took > task_s:
        return 0.0
    return max(0.0, 500 + 500 * (1 - took / task_s) - 100 * wrong)


def mean(values: Collection[float]) -> float:
    """The mean, 0 of nothing."""
    return sum(values) / len(values) if values else 0.0
