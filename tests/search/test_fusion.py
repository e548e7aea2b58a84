"""Fusion: degenerate lists keep their meaning, weights are renormalised, presets are what their papers say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from khung.search.fusion import BALANCED, PRESETS, Found, fuse, fuse_ranks
from khung.search.parsed import Event
from khung.search.query import parse


def found(scores: dict[int, float]) -> Found:
    values = np.array(list(scores.values()), np.float32)
    return Found(np.array(list(scores), np.int64), values, values)


def as_dict(fused) -> dict[int, float]:
    return dict(zip(fused.ids.tolist(), fused.scores.tolist(), strict=True))


def test_one_hit_and_constant_lists_still_rank():
    """Min-max would make both of them zero: the perfect on-screen hit would be erased, the facets mean nothing."""
    fused = as_dict(
        fuse(
            {
                "vector": found({1: 0.5, 2: 0.5, 3: 0.5}),
                "screen_text": found({2: 0.9}),
                "facets": found({1: 1.0, 2: 1.0}),
            },
            BALANCED,
        )
    )
    assert fused[2] > fused[1] > fused[3] > 0


def test_weights_are_shared_by_who_answered():
    alone = as_dict(fuse({"text": found({1: 0.8})}, BALANCED))
    assert alone[1] == pytest.approx(0.8)
    two = as_dict(fuse({"text": found({1: 1.0}), "vector": found({2: 1.0})}, BALANCED))
    assert two[1] == pytest.approx(0.35 / 0.8)
    assert two[2] == pytest.approx(0.45 / 0.8)


def test_a_channel_without_weight_says_nothing():
    assert as_dict(fuse({"text": found({1: 1.0}), "vector": found({2: 1.0})}, {"text": 1.0})) == {1: 1.0}
    assert as_dict(fuse({}, BALANCED)) == {}


scores = st.dictionaries(st.integers(0, 50), st.floats(0, 1, width=32), max_size=20)


@given(st.dictionaries(st.sampled_from(sorted(BALANCED)), scores))
def test_scores_are_sums_of_shares_between_0_and_1(lists):
    fused = fuse({name: found(s) for name, s in lists.items()}, BALANCED)
    assert set(fused.ids.tolist()) == {i for s in lists.values() for i in s}
    assert list(fused.ids) == sorted(fused.ids)
    np.testing.assert_allclose(fused.scores, sum(fused.shares.values(), np.zeros(len(fused.ids))), atol=1e-6)
    assert ((fused.scores >= 0) & (fused.scores <= 1 + 1e-6)).all()


@given(scores, scores, st.integers(0, 50))
def test_a_better_score_never_lowers_a_frame(a, b, frame):
    before = as_dict(fuse({"text": found(a), "vector": found(b)}, BALANCED)).get(frame, 0)
    after = as_dict(fuse({"text": found(a | {frame: 1.0}), "vector": found(b)}, BALANCED))[frame]
    assert after >= before - 1e-6


def test_reciprocal_ranks():
    fused = as_dict(fuse_ranks({"text": found({1: 0.9, 2: 0.5}), "vector": found({2: 0.9, 3: 0.1})}))
    assert fused[1] == pytest.approx(0.5)
    assert fused[2] == pytest.approx(0.5 * (61 / 62 + 1))
    assert fused[2] > fused[1] > fused[3]
    tied = as_dict(fuse_ranks({"text": found({1: 0.5, 2: 0.5})}))
    assert tied[1] == tied[2] == 1.0


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("text", ["a man", "người", "người sau 2:30", "after 2:30 a man", '"PHỞ"'])
def test_every_preset_spends_exactly_one(preset, text):
    parsed = parse(text)
    assert sum(PRESETS[preset](parsed, parsed.events[0]).values()) == pytest.approx(1.0)
    assert all(w >= 0 for w in PRESETS[preset](parsed, parsed.events[0]).values())


def test_the_proposals_weights():
    """The sums that its page gives: .225 / .425 / .35 when a Vietnamese question asks for a time."""

    def weights(text):
        w = PRESETS["proposal"](parse(text), Event())
        return w["vector"], w["text"] + w["screen_text"], w["facets"]

    assert weights("a man") == pytest.approx((0.4, 0.4, 0.2))
    assert weights("a man after 2:30") == pytest.approx((0.325, 0.325, 0.35))
    assert weights("người đàn ông") == pytest.approx((0.3, 0.5, 0.2))
    assert weights("người đàn ông sau 2:30") == pytest.approx((0.225, 0.425, 0.35))


def test_quoted_text_looks_at_the_screen_first():
    parsed = parse('chợ "BẾN THÀNH"')
    assert PRESETS["balanced"](parsed, parsed.events[0])["screen_text"] == 0.5
