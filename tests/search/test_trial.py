"""Asking judged topics, the figures, and whether two settings truly differ."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from khung.errors import ConfigError
from khung.search.engine import Engine
from khung.search.evaluation import aic_score, dres_score
from khung.search.topics import Moment, Topic
from khung.search.trial import MEASURES, compare, outcome, randomised_p, run
from khung.search.trial_page import page

DOG = Topic("dog", "con chó chạy qua đường", "vi marked", (Moment("street", None, 20_000, 20_001),))
BOWL = Topic("bowl", "bát phở trên bàn", "vi marked", (Moment("kitchen", None, 15_000, 15_001),))
FOOTBALL = Topic("ball", "children play football", "en", (Moment("sea", None, 30_000, 30_001),))
GONE = Topic("gone", "a dog", "en", (Moment("nowhere", 0),))
EMPTY = Topic("empty", "a cat", "en", (Moment("kitchen", None, 1, 2),))


@pytest.fixture(scope="module")
def engine(street, embedder):
    return Engine(street, embedder)


def test_every_topic_is_asked_and_the_figures_are_by_class(engine, street):
    trial = run(engine.search, street.records.timeline(), [DOG, BOWL, FOOTBALL, GONE, EMPTY])
    assert [o.topic.id for o in trial.outcomes] == ["dog", "bowl", "ball", "empty"]
    assert (trial.left_out, trial.without_frame) == (("gone",), ("empty",))
    assert trial.kinds == ["en", "vi marked"]
    assert trial.figures("vi marked")["mrr"] == 1.0
    assert trial.figures("en")["found@10"] == 0.5  # the moment without a frame counts
    assert trial.figures().keys() == set(MEASURES)


def test_a_library_without_the_videos_is_told(engine, street):
    with pytest.raises(ConfigError, match="No topic"):
        run(engine.search, street.records.timeline(), [GONE])


def test_a_strict_trial_refuses_a_moment_without_frames(engine, street):
    with pytest.raises(ConfigError, match="a cat"):
        run(engine.search, street.records.timeline(), [EMPTY], strict=True)


def test_settings_are_compared_topic_by_topic(engine, street):
    topics, timeline = [DOG, BOWL, FOOTBALL], street.records.timeline()
    fixed, rrf, facets = (run(engine.search, timeline, topics, preset=p) for p in ("fixed", "rrf", "text only"))
    same = compare(fixed, run(engine.search, timeline, topics, preset="fixed"))
    assert all(d.p == 1.0 and d.better == d.worse == 0 for d in same)
    assert {d.measure for d in compare(fixed, rrf)} == set(MEASURES)
    with pytest.raises(ConfigError, match="different topics"):
        compare(facets, run(engine.search, timeline, topics[:2], preset="fixed"))


def test_an_unanswerable_question_names_its_topic(engine, street):
    with pytest.raises(ConfigError, match="loud"):
        run(engine.search, street.records.timeline(), [Topic("loud", "!!!", "en", DOG.answers)])


def test_the_page_stands_alone_and_escapes(engine, street):
    odd = Topic("odd", "<script>alert(1)</script> chó", "vi & marked", DOG.answers)
    trials = [run(engine.search, street.records.timeline(), [DOG, odd], preset=p) for p in ("balanced", "rrf")]
    html = page(trials, compare(*trials), about="A <b>snapshot</b>.")
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert html.count("<svg") == 2
    assert "http" not in html  # nothing is loaded from anywhere
    assert "vi &amp; marked" in html


def test_one_outcome_by_hand():
    found = outcome(DOG, {"a": 1.0, "b": 1.0}, ["x", "a", "y", "b", *"cdefgh"])
    assert (found.rank, found.measures["mrr"], found.measures["p@10"]) == (2, 0.5, 0.2)
    assert (found.measures["recall@1"], found.measures["recall@5"], found.measures["found@1"]) == (0, 1, 0)
    assert found.measures["aic"] == pytest.approx(4 / 5)


def test_the_aic_score_is_the_best_of_each_cut():
    assert aic_score(["a"], {"a": 1.0}) == 1.0
    assert aic_score(["x"] * 20 + ["a"], {"a": 1.0}) == pytest.approx(2 / 5)
    assert aic_score(["a", "b"], {"a": 0.5, "b": 1.0}) == pytest.approx((0.5 + 4) / 5)
    assert aic_score(["a"], {"a": 3.0}) == 1.0
    assert aic_score([], {"a": 1.0}) == 0


def test_the_simulated_searcher_is_slower_further_down():
    assert dres_score(0) == 0
    assert dres_score(1, typing_s=0, look_s=0) == 1000
    assert dres_score(1) > dres_score(50) > dres_score(1, wrong=2)
    assert dres_score(600) == 0  # the task is over
    assert dres_score(1, wrong=20) == 0


@given(st.lists(st.floats(-1, 1, allow_nan=False).map(lambda x: round(x, 2)), max_size=9))
def test_the_exact_test_counts_all_flips(differences):
    told = [d for d in differences if d]
    sums = [abs(sum(s * d for s, d in zip(signs, told, strict=True))) for signs in product((1, -1), repeat=len(told))]
    expected = sum(s >= abs(sum(told)) - 1e-9 for s in sums) / len(sums)
    assert randomised_p(np.array(differences)) == pytest.approx(expected)


def test_many_differences_are_flipped_at_random_and_repeatably():
    rng = np.random.default_rng(1)
    noise, gain = rng.standard_normal(200), rng.standard_normal(200) + 0.5
    assert randomised_p(noise) > 0.05
    assert randomised_p(gain) < 0.001
    assert randomised_p(gain) == randomised_p(gain)


def test_the_test_keeps_its_level():
    """Of 300 comparisons without a difference about one in twenty is called sure."""
    rng = np.random.default_rng(5)
    sure = sum(randomised_p(rng.standard_normal(12)) < 0.05 for _ in range(300))
    assert 4 <= sure <= 28
