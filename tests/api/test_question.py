"""What was asked as text: keys that name everything an answer depends on, the same for what is the same question."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khung.api.question import Question
from khung.api.schemas import FeedbackIn, SearchIn

RED = SearchIn(q="áo đỏ")
OTHERS = {
    "q": "áo xanh",
    "image": "0" * 32,
    "like": "a/1",
    "limit": 10,
    "offset": 5,
    "per_video": 3,
    "then": ("b",),
    "more": ("a/1",),
    "less": ("a/1",),
    "preset": "proposal",
    "video": ("a",),
    "not_video": ("a",),
    "from_ms": 5,
    "to_ms": 5,
    "object": ("car",),
    "not_object": ("car",),
    "action": ("walking",),
    "place": ("indoor",),
    "scene_type": ("street",),
    "time_of_day": ("night",),
    "weather": ("rain",),
    "color": ("red",),
    "emotion": ("calm",),
}


def key(asked=RED, snapshot="s1", model="m1", ranking=""):
    return Question.of(asked).key(snapshot_id=snapshot, fingerprint=model, ranking=ranking)


def test_another_snapshot_model_or_ranking_is_another_key():
    assert len({key(), key(snapshot="s2"), key(model="m2"), key(ranking="abc+")}) == 4


@pytest.mark.parametrize("name", sorted(SearchIn.model_fields.keys() - {"cursor"}))
def test_every_field_of_a_question_is_in_the_key(name):
    asked = SearchIn(**{"q": "áo đỏ", name: OTHERS[name]})
    assert key(asked) != key()
    assert key(Question.of(asked).asked()) == key(asked)  # nothing is lost


@pytest.mark.parametrize("name", sorted(SearchIn.model_fields.keys() - {"limit", "offset", "cursor"}))
def test_every_field_but_the_page_is_in_the_digest_of_cursors(name):
    asked = SearchIn(**{"q": "áo đỏ", name: OTHERS[name]})
    assert Question.of(asked).digest() != Question.of(RED).digest()
    turned = asked.model_copy(update={"limit": 7, "offset": 14, "cursor": "x"})
    assert Question.of(turned).digest() == Question.of(asked).digest()


def test_unicode_form_spaces_and_what_is_as_ever_share_a_key():
    for text in (unicodedata.normalize("NFD", "áo đỏ"), "  áo  đỏ ", "áo\u200b đỏ"):
        assert key(SearchIn(q=text)) == key()
    assert key(SearchIn(q="áo đỏ", limit=50, video=(), preset="balanced", per_video=None)) == key()
    then = ("xe  đạp", unicodedata.normalize("NFD", "đỏ"))
    assert key(SearchIn(q="a", then=then)) == key(SearchIn(q="a", then=("xe đạp", "đỏ")))


def test_the_order_of_fields_and_the_door_do_not_matter():
    judged = {"q": "áo đỏ", "more": ("a/1",), "limit": 5}
    assert key(SearchIn(**judged)) == key(SearchIn(**dict(reversed(judged.items())))) == key(FeedbackIn(**judged))


@given(st.text(min_size=1, max_size=30), st.text(max_size=30))
def test_values_never_run_into_one_another(a, b):
    one, two = (SearchIn.model_construct(q=a, then=then) for then in ((b,), (b, "x")))
    assert Question.of(one).text != Question.of(two).text
