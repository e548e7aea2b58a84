"""The measures, on rankings worked out by hand."""

from itertools import permutations
from math import log2

import pytest

from khung.search.evaluation import mean, ndcg_at, precision_at, recall_at, reciprocal_rank, tied_reciprocal_rank


def test_reciprocal_rank():
    assert reciprocal_rank(["a", "b", "c"], {"b", "c"}) == 0.5
    assert reciprocal_rank(["a"], {"z"}) == 0


def test_recall_and_precision():
    assert recall_at(2, ["a", "b", "c"], {"b", "c"}) == 0.5
    assert precision_at(10, ["a", "b"], {"b"}) == 0.1
    with pytest.raises(ValueError, match="nothing"):
        recall_at(1, ["a"], set())


def test_ndcg():
    assert ndcg_at(3, ["a", "b", "c"], {"a": 3, "b": 1}) == 1
    assert ndcg_at(2, ["x", "a"], {"a": 1}) == pytest.approx(1 / log2(3))
    assert ndcg_at(2, ["x"], {}) == 0


def test_ties_are_averaged_over_all_orders():
    scores = {"a": 2.0, "b": 1.0, "c": 1.0, "d": 1.0}
    orders = [reciprocal_rank(["a", *rest], {"c"}) for rest in permutations("bcd")]
    assert tied_reciprocal_rank(scores, "c") == pytest.approx(mean(orders))
    assert tied_reciprocal_rank(scores, "z") == 0
