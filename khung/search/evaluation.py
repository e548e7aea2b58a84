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


def mean(values: Collection[float]) -> float:
    """The mean, 0 of nothing."""
    return sum(values) / len(values) if values else 0.0
