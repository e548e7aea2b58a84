"""Best first is the order by two columns, by the loops as they stand and as machine code."""

import numpy as np
import pytest

from khung.stores import ordering
from khung.stores.loops import compiled
from khung.stores.ordering import best_first


@pytest.mark.parametrize(
    "how", [lambda loop, rounds: loop, lambda loop, rounds: compiled(loop)], ids=["plain", "compiled"]
)
@pytest.mark.parametrize("seed", range(30))
def test_best_first_is_the_order_by_two_columns(seed: int, how, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ties, negative scores, both zeros, infinities, nothing at all; cut anywhere."""
    monkeypatch.setattr(ordering, "at_hand", how)
    rng = np.random.default_rng(seed)
    size, k = int(rng.integers(0, 400)), int(rng.integers(1, 420))
    some = [-2.5, -1e-30, -0.0, 0.0, 1e-30, 0.5, 3.25, *([] if seed % 2 else [-np.inf, np.inf])]
    scores = rng.choice(np.array(some, np.float32), size)
    scores[:: 1 + seed % 3] = rng.standard_normal(len(scores[:: 1 + seed % 3]))
    rows = rng.permutation(2**20)[:size].astype(np.int32)
    order = np.lexsort((rows, -scores))[:k]
    best, at = best_first(scores, rows, k)
    assert np.array_equal(best, scores[order]) and np.array_equal(at, rows[order])
    assert (best.dtype, at.dtype) == (np.float32, np.int64)


def test_scores_that_hardly_differ_are_cut_between_them() -> None:
    scores = np.nextafter(np.full(1000, 0.5, np.float32), np.float32(1)) * np.ones(1000, np.float32)
    scores[::2] = 0.5
    best, at = best_first(scores, np.arange(1000), 600)
    assert at[:500].tolist() == list(range(1, 1000, 2)) and at[500:].tolist() == list(range(0, 200, 2))
    assert best[499] > best[500] == 0.5


def test_the_least_of_numbers_differ_too() -> None:
    scores = np.array([1e-45, 0, 3e-45, -1e-45], np.float32)
    assert best_first(scores, np.arange(4), 2)[1].tolist() == [2, 0]
