"""A learned fusion: used when it wins on topics that it has not seen, refused with its numbers when it does not."""

import json

import numpy as np
import pytest

from khung.errors import ConfigError, CorruptError, VectorSpaceMismatch
from khung.search.engine import Engine
from khung.search.learned import DEPTH, FEATURES, Candidates, LearnedFusion
from khung.search.learning import MIN_TOPICS, Example, examples, train
from khung.search.request import SearchRequest
from khung.search.topics import Moment, Topic

SPACE = "words-1"


def invented(topics: int, *, telling: bool, seed: int = 3) -> list[Example]:
    """Twelve candidates a topic, one right, anywhere in the fixed order. `telling`: its on-screen score gives it away, which the
    fixed combination hardly weighs; otherwise nothing does."""
    rng, made = np.random.default_rng(seed), []
    for n in range(topics):
        right = int(rng.integers(12))
        features = rng.random((12, len(FEATURES)), np.float32)
        if telling:
            features[:, FEATURES.index("screen_text.normalised")] = rng.random(12) * 0.5
            features[right, FEATURES.index("screen_text.normalised")] = 0.5 + rng.random() * 0.5
        topic = Topic(f"{n}", "x", "en", (Moment("v", n),))
        made.append(Example(topic, Candidates(rng.integers(0, 2**60, 12), features), np.eye(12, dtype=int)[right]))
    return made


@pytest.fixture(scope="module")
def winner() -> LearnedFusion:
    return train(invented(60, telling=True), SPACE)


@pytest.fixture(scope="module")
def loser() -> LearnedFusion:
    return train(invented(60, telling=False), SPACE)


def test_it_wins_where_there_is_something_to_learn(winner):
    assert winner.evidence.wins
    assert winner.evidence.learned_mrr > winner.evidence.fixed_mrr + 0.2
    assert (winner.evidence.topics, winner.evidence.folds) == (60, 5)


def test_it_is_refused_with_the_numbers_where_there_is_nothing(loser, tmp_path):
    assert not loser.evidence.wins
    loser.write(tmp_path / "fusion.json")
    with pytest.raises(ConfigError, match=r"did not win: MRR 0\.\d+ against 0\.\d+ .* p = ") as refused:
        LearnedFusion.read(tmp_path / "fusion.json")
    assert "KHUNG_SEARCH_FUSION" in refused.value.cure


def test_a_model_that_only_knows_its_topics_by_heart_does_not_win():
    """Every topic three times, as in two languages and without marks: they stay in one fold."""
    once = invented(25, telling=False)
    assert not train([e for e in once for _ in range(3)], SPACE).evidence.wins


def test_a_file_is_read_as_it_was_written(winner, tmp_path):
    winner.write(tmp_path / "fusion.json")
    read = LearnedFusion.read(tmp_path / "fusion.json", SPACE)
    assert (read.fingerprint, read.evidence) == (winner.fingerprint, winner.evidence)


def test_the_same_examples_make_the_same_model(winner):
    assert train(invented(60, telling=True), SPACE).fingerprint == winner.fingerprint


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"model": "tree\n"}, CorruptError, "fingerprint"),
        ({"space": "other"}, CorruptError, "fingerprint"),
        ({"version": 99}, ConfigError, "features"),
        ({"features": ["fused"]}, ConfigError, "features"),
    ],
)
def test_what_was_tampered_with_is_refused(winner, tmp_path, change, error, said):
    winner.write(tmp_path / "fusion.json")
    body = json.loads((tmp_path / "fusion.json").read_text())
    (tmp_path / "fusion.json").write_text(json.dumps(body | change))
    with pytest.raises(error, match=said):
        LearnedFusion.read(tmp_path / "fusion.json")


def test_another_vector_space_is_refused(winner, tmp_path):
    winner.write(tmp_path / "fusion.json")
    with pytest.raises(VectorSpaceMismatch, match="words-1"):
        LearnedFusion.read(tmp_path / "fusion.json", "another")


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"version": 1'])
def test_what_is_no_model_is_refused(tmp_path, body):
    (tmp_path / "fusion.json").write_text(body)
    with pytest.raises(CorruptError, match="no learned fusion"):
        LearnedFusion.read(tmp_path / "fusion.json")
    with pytest.raises(ConfigError, match=r"gone\.json"):
        LearnedFusion.read(tmp_path / "gone.json")


def test_too_few_topics_teach_nothing():
    with pytest.raises(ConfigError, match="too few"):
        train(invented(MIN_TOPICS - 1, telling=True), SPACE)


def test_the_engine_uses_it_and_keeps_its_promises(street, embedder, winner):
    plain, learned = Engine(street, embedder), Engine(street, embedder, learned=winner)
    ask = SearchRequest("con chó chạy trên bãi biển")
    fixed, found = plain.search(ask), learned.search(ask)
    assert {h.record.frame_id for h in found.hits} == {h.record.frame_id for h in fixed.hits}
    assert [h.score for h in found.hits] == sorted((h.score for h in found.hits), reverse=True)
    assert all(0.5 < h.score <= 1 for h in found.hits)  # all are among the candidates
    assert all(sum(c.share for c in h.channels.values()) == pytest.approx(h.score, abs=1e-4) for h in found.hits)
    assert learned.search(SearchRequest(ask.text, preset="fixed")).hits == fixed.hits
    assert (
        learned.search(SearchRequest("con chó rồi con mèo")).hits
        == plain.search(SearchRequest("con chó rồi con mèo")).hits
    )


def test_examples_are_the_candidates_of_an_engine(street, embedder):
    topics = [
        Topic("1", "con chó", "vi marked", (Moment("street", None, 20_000, 20_001, 2.0),)),
        Topic("2", "con chó rồi con mèo", "sequence", (Moment("street", None, 20_000, 20_001),)),
        Topic("3", "a dog", "en", (Moment("gone", 1),)),
    ]
    (made,) = examples(Engine(street, embedder), street.records.timeline(), topics)
    assert made.topic.id == "1"
    assert made.gains.max() == 2
    assert made.candidates.features.shape == (len(made.gains), len(FEATURES))
    assert len(made.gains) <= DEPTH
    assert np.isfinite(made.candidates.features).all()
