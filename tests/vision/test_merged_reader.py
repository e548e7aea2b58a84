"""Two readers of one frame: the letters of the better one in the places of the other."""

from khung.records import TextLine
from khung.vision.merged_reader import alike, merge
from khung.vision.vlm_schema import WHOLE_FRAME

TOP, BOTTOM = (0.1, 0.1, 0.9, 0.2), (0.1, 0.8, 0.9, 0.9)


def found(*texts: str) -> list[TextLine]:
    return [TextLine(text, 0.6, box) for text, box in zip(texts, (TOP, BOTTOM), strict=False)]


def spoken(*texts: str) -> list[TextLine]:
    return [TextLine(text, 0.9, WHOLE_FRAME) for text in texts]


def test_the_letters_of_one_in_the_place_of_the_other():
    (line,) = merge(found("THOI SU 19 GIO"), spoken("THỜI SỰ 19 GIỜ"))
    assert line == TextLine("THỜI SỰ 19 GIỜ", 0.9, TOP)


def test_each_line_is_used_once_and_the_order_stays_that_of_the_places():
    lines = merge(found("Chợ nôi Cái Rang", "Cán Thơ"), spoken("Cần Thơ", "Chợ nổi Cái Răng"))
    assert [(line.text, line.box) for line in lines] == [("Chợ nổi Cái Răng", TOP), ("Cần Thơ", BOTTOM)]


def test_what_only_one_saw_is_kept():
    lines = merge(found("VTV1"), spoken("Dự báo thời tiết"))
    assert [(line.text, line.box) for line in lines] == [("VTV1", TOP), ("Dự báo thời tiết", WHOLE_FRAME)]


def test_different_texts_are_not_one_though_they_share_letters():
    assert alike("Hà Nội", "Hải Phòng") < 0.6
    assert alike("19:00", "VTV") == 0.0
    assert alike("", "a") == 0.0


def test_of_two_alike_the_more_alike_wins():
    lines = merge(found("Bản tin 1", "Bản tin 2"), spoken("Bản tin 2"))
    assert [(line.text, line.score) for line in lines] == [("Bản tin 1", 0.6), ("Bản tin 2", 0.9)]


def test_nothing_and_nothing():
    assert merge([], []) == ()
    assert merge(found("a"), []) == tuple(found("a"))
    assert merge([], spoken("a")) == tuple(spoken("a"))
