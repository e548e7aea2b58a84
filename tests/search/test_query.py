"""The reading of a question: islands, spans, alternatives, limits. The golden utterances are in test_golden.py."""

import pytest

from khung.errors import QueryError
from khung.search.parsed import Gap
from khung.search.query import parse


def facets(text: str) -> dict[str, tuple[str, ...]]:
    return {f.field: f.values for e in parse(text).events for f in e.facets}


def test_the_five_kinds_of_question():
    red = parse("Tìm cảnh có người đàn ông mặc áo đỏ lái xe buổi sáng")
    assert red.events[0].text == "người đàn ông mặc áo đỏ lái xe buổi sáng"
    assert {f.field for f in red.events[0].facets} >= {"objects", "colors", "time_of_day"}
    late = parse("Show me action scenes after 2:30 in the video")
    assert (late.events[0].text, late.where.from_ms) == ("action scenes", 150_000)
    out = facets("Find outdoor scenes with cars and traffic lights")
    assert out["place"] == ("outdoor",)
    assert facets("Show scenes with happy people celebrating")["emotions"] == ("happy",)


def test_two_minutes_at_the_end_is_a_time_and_between_two_events_a_gap():
    assert parse("người mặc áo đỏ sau 2 phút").where.from_ms == 120_000
    between = parse("người chạy sau 2 phút cháy nhà")
    assert [e.text for e in between.events] == ["người chạy", "cháy nhà"]
    assert between.gaps == (Gap(60_000, 180_000),)
    other = parse(between.alternatives[0].text)
    assert (len(other.events), other.where.from_ms) == (1, 120_000)


def test_bare_xanh_is_blue_or_green_and_the_alternatives_say_which():
    parsed = parse("áo xanh")
    assert parsed.events[0].facets[-1].values == ("blue", "green")
    assert {parse(a.text).events[0].facets[-1].values for a in parsed.alternatives} == {("blue",), ("green",)}


def test_nothing_soft_filters():
    parsed = parse("hai con chó màu đen ngoài trời ban đêm trời mưa vui vẻ không có xe ở cuối video")
    assert not parsed.where
    assert parsed.last_ms is None
    assert {f.field for f in parsed.events[0].facets} >= {
        "objects",
        "colors",
        "place",
        "time_of_day",
        "emotions",
        "position",
    }


def test_fields_filter():
    parsed = parse("obj:chó -obj:car color:xanh time:đêm place:indoor video:L01 after:1:00 before:90s xe")
    w = parsed.where
    assert (w.objects, w.not_objects, w.videos, w.from_ms, w.to_ms) == (("dog",), ("car",), ("L01",), 60_000, 90_000)
    assert w.facets == {"colors": ("blue", "green"), "time_of_day": ("night",), "place": ("indoor",)}


def test_spans_point_at_what_was_read():
    parsed = parse('tìm cảnh có "PHỞ" không có xe rồi áo đỏ sau 2:30')
    said = {p.kind: parsed.text[p.start : p.end] for p in parsed.pieces}
    assert said["screen_text"] == '"PHỞ"'
    assert said["without"] == "không có xe"
    assert said["then"] == "rồi"
    assert said["time"] == "sau 2:30"


def test_a_removed_piece_is_gone_and_the_rest_stays():
    parsed = parse("áo đỏ sau 2:30")
    time = next(p for p in parsed.pieces if p.kind == "time")
    color = next(p for p in parsed.pieces if p.field == "colors")
    assert parse(parsed.without_piece(time)).where.from_ms is None
    plain = parse(parsed.without_piece(color))
    assert (plain.events[0].text, plain.events[0].facets) == ("áo đỏ", ())
    joined = parse(parse("A rồi B").without_piece(parse("A rồi B").pieces[0]))
    assert [e.text for e in joined.events] == ["A rồi B"]


@pytest.mark.parametrize("text", ["", "   ", "?!", "...", "😀"])
def test_nothing_is_nothing(text):
    assert parse(text).events == ()


@pytest.mark.parametrize("text", ["rồi", "tìm cảnh", "show me", "không", "sau", "the", "trong video"])
def test_only_courtesies_are_taken_at_their_word(text):
    assert parse(text).events[0].text


@pytest.mark.parametrize(
    "text",
    [
        "a" * 1001,
        " rồi ".join("abcdefg"),
        "sau 99:99",
        "từ 2:30 đến 1:00",
        "time:banana",
        "after:soon",
        "-time:đêm",
        "after:5:00 before:1:00",
    ],
)
def test_what_makes_no_sense_is_refused_with_a_cure(text):
    with pytest.raises(QueryError) as caught:
        parse(text)
    assert caught.value.cure
