"""Marks restored from the library's own bigrams."""

import pytest

from khung.search.engine import Engine, SearchRequest
from khung.search.suggest import Suggester
from khung.text import tokens
from khung.text.forms import strip_marks
from tests.search.test_captions import ROWS


@pytest.fixture(scope="module")
def suggester() -> Suggester:
    return Suggester(vi for vi, _, _ in ROWS)


def test_most_questions_get_their_marks_back(suggester):
    """The questions' words are the captions', their order often is not."""
    got = [(suggester.suggest(strip_marks(q)) or strip_marks(q), q) for _, _, q in ROWS]
    right = sum(" ".join(tokens(q)) == s for s, q in got)
    words = [(a, b) for s, q in got for a, b in zip(s.split(), tokens(q), strict=True)]
    assert right / len(got) >= 0.75
    assert sum(a == b for a, b in words) / len(words) >= 0.9


def test_marks_that_were_typed_are_kept(suggester):
    assert suggester.suggest("bàn go") == "bàn gỗ"
    assert suggester.suggest("lau bàn gỗ") == ""


def test_context_decides_between_words_of_the_same_letters(suggester):
    assert suggester.suggest("ban rau muong") == "bán rau muống"
    assert suggester.suggest("hai nguoi ban than") == "hai người bạn thân"


@pytest.mark.parametrize("text", ["", "!?", "a man in a red shirt", "xyzzy", "😀"])
def test_nothing_to_suggest(suggester, text):
    assert suggester.suggest(text) == ""


def test_an_empty_library_suggests_nothing():
    assert Suggester([]).suggest("nguoi dan ong") == ""


def test_the_engine_suggests_without_changing_the_answer(street, embedder):
    engine = Engine(street, embedder)
    before = engine.search(SearchRequest("nguoi phu nu nau an"))
    engine.warm()
    after = engine.search(SearchRequest("nguoi phu nu nau an"))
    assert (before.did_you_mean, after.did_you_mean) == ("", "người phụ nữ nấu ăn")
    assert [h.record.frame_id for h in before.hits] == [h.record.frame_id for h in after.hits]
    assert engine.search(SearchRequest("người phụ nữ nấu ăn")).did_you_mean == ""
    assert (
        engine.search(SearchRequest("nguoi phu nu roi con meo")).did_you_mean == ""
    )  # only a plain question is rewritten
