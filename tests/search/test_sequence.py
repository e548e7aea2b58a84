"""The dynamic programme equals trying every chain, whatever the gaps, the price and the ties."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from khung.search import sequence
from khung.search.parsed import Gap
from khung.search.sequence import DEFAULT_GAP_MS, PRICE_PER_MS, chains
from khung.stores.loops import compiled


def solve(scores, pts, starts, gaps, price=PRICE_PER_MS):
    """`chains` over dense scores: the best total for each last frame, and its chain."""
    video = np.searchsorted(starts, np.arange(scores.shape[1]), side="right")
    found = [(np.flatnonzero(row > 0), row[row > 0]) for row in scores]
    ranked = chains(found, pts, video, gaps, price)
    totals, frames = ranked.totals, ranked.follow()
    assert (ranked.follow(np.arange(len(totals))[::2]) == frames[::2]).all()
    best = np.full(scores.shape[1], -np.inf)
    best[frames[:, -1]] = totals
    return best, {int(chain[-1]): chain.tolist() for chain in frames}


def brute_force(scores, pts, starts, gaps, price):
    """The best total for each last frame, by trying every chain."""
    events, n = scores.shape
    video = np.searchsorted(starts, np.arange(n), side="right")
    best = np.full(n, -np.inf)
    for chain in product(range(n), repeat=events):
        if any(scores[e, t] <= 0 for e, t in enumerate(chain)) or len({video[t] for t in chain}) > 1:
            continue
        total = sum(float(scores[e, t]) for e, t in enumerate(chain))
        for (a, b), gap in zip(pairwise(chain), gaps, strict=True):
            apart = pts[b] - pts[a]
            high = DEFAULT_GAP_MS if gap.max_ms is None else gap.max_ms
            if a >= b or not gap.min_ms <= apart <= max(high, gap.min_ms):
                break
            total -= price * apart
        else:
            best[chain[-1]] = max(best[chain[-1]], max(total / events, 0.0))
    return best


@st.composite
def cases(draw):
    events = draw(st.integers(2, 3))
    lengths = draw(st.lists(st.integers(0, 6), min_size=1, max_size=3).filter(lambda x: 0 < sum(x) <= 11))
    n = sum(lengths)
    values = st.sampled_from([0.0, 0.0, 0.25, 0.5, 0.5, 1.0])
    scores = np.array([[draw(values) for _ in range(n)] for _ in range(events)], np.float32)
    pts = np.concatenate(
        [np.cumsum([draw(st.sampled_from([0, 1000, 2500, 90_000])) for _ in range(k)]) for k in lengths]
    )
    gap = st.tuples(st.sampled_from([0, 0, 1000, 5000]), st.sampled_from([None, 0, 1000, 20_000, 100_000]))
    gaps = [Gap(low, high) for low, high in (draw(gap) for _ in range(events - 1))]
    return scores, pts.astype(np.int64), np.cumsum([0, *lengths]), gaps, draw(st.sampled_from([0.0, 1e-6, 1e-5]))


@pytest.fixture(params=[lambda loop: loop, compiled], ids=["as it stands", "compiled"], autouse=True)
def _ways_to_run(request, monkeypatch):
    """A command that asks one question runs the loops as they stand, a service compiled."""
    monkeypatch.setattr(sequence, "at_hand", lambda loop, rounds: request.param(loop))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cases())
def test_equal_to_every_chain_tried(case):
    scores, pts, starts, gaps, price = case
    total, found = solve(scores, pts, starts, gaps, price)
    np.testing.assert_allclose(total, brute_force(scores, pts, starts, gaps, price), atol=1e-6)
    for end in np.flatnonzero(total > -np.inf):
        chain = found[int(end)]
        apart = np.diff(pts[chain])
        worth = sum(float(scores[e, t]) for e, t in enumerate(chain)) - price * apart.sum()
        assert max(worth / len(scores), 0) == pytest.approx(total[end], abs=1e-6)
        assert chain == sorted(set(chain))
        assert all(g.min_ms <= a for g, a in zip(gaps, apart, strict=True))


def test_a_chain_never_crosses_a_video():
    scores = np.array([[1, 0], [0, 1]], np.float32)
    assert solve(scores, np.array([0, 1000]), np.array([0, 1, 2]), [Gap()])[0].max() == -np.inf
    assert solve(scores, np.array([0, 1000]), np.array([0, 2]), [Gap()])[0].max() > 0.9


def test_of_two_equal_chains_the_tighter_wins():
    scores = np.array([[1, 1, 0], [0, 0, 1]], np.float32)
    _, found = solve(scores, np.array([0, 50_000, 60_000]), np.array([0, 3]), [Gap()])
    assert found[2] == [1, 2]


def test_nothing_found_for_a_step_is_no_chain():
    none = np.array([[1, 1], [0, 0]], np.float32)
    assert solve(none, np.array([0, 1000]), np.array([0, 2]), [Gap()])[1] == {}
    assert solve(none[::-1], np.array([0, 1000]), np.array([0, 2]), [Gap()])[1] == {}
    assert solve(np.zeros((3, 0), np.float32), np.zeros(0, np.int64), np.zeros(1, np.int64), [Gap(), Gap()])[1] == {}
