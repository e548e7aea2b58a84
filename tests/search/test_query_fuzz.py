"""The reader of questions never crashes, never loops, and does not see how a letter was encoded."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khung.errors import QueryError
from khung.search.parsed import ParsedQuery
from khung.search.query import MAX_CHARS, MAX_EVENTS, parse
from tests.search.test_golden import GOLDEN
from tests.support.effort import calls

WORDS = """rồi sau đó trước từ đến phút giây giờ thứ đầu cuối giữa video trong vòng lúc không có xe áo đỏ xanh người hai 2 30 2:30 1:00 99:99 -5
0 1e309 90s 2m30s within after before then and the first last between from to at of -> → " “ ” ' « » ( ) [ : ; , . - -- \\ \\rồi obj: obj:car time:đêm
after:1:00 before:x ocr:"a" like:a/1 -obj:car nửa rưỡi khi 𝟚 ٣ ½ NFD\u0301 \u200b \u202e \x00 \ud800 😀"""
PIECES = WORDS.split()
sentences = st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join) | st.text(max_size=200)


def understood(text: str) -> ParsedQuery | None:
    try:
        return parse(text)
    except QueryError:
        return None


@settings(max_examples=500, deadline=None)
@given(sentences)
def test_any_text_is_read_or_refused(text):
    parsed = understood(text)
    if parsed is None:
        return
    assert len(parsed.gaps) == max(len(parsed.events) - 1, 0)
    assert len(parsed.events) <= MAX_EVENTS
    assert all(0 <= p.start < p.end <= len(parsed.text) for p in parsed.pieces)
    assert all(e for e in parsed.events)
    assert parsed.where.from_ms is None or parsed.where.from_ms >= 0
    for gap in parsed.gaps:
        assert gap.max_ms is None or 0 <= gap.min_ms <= gap.max_ms or gap.min_ms == 0


@settings(max_examples=300, deadline=None)
@given(sentences)
def test_every_piece_can_be_taken_out_and_every_alternative_asked(text):
    parsed = understood(text)
    if parsed is None:
        return
    for again in [parsed.without_piece(p) for p in parsed.pieces] + [a.text for a in parsed.alternatives]:
        understood(again)


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda g: g.question)
def test_spelling_does_not_change_the_reading(golden):
    plain = parse(golden.question)
    for text in (unicodedata.normalize("NFD", golden.question), "\u200b".join(golden.question)):
        other = parse(text)
        assert (other.events, other.gaps, other.where, other.pieces) == (
            plain.events,
            plain.gaps,
            plain.where,
            plain.pieces,
        )


@pytest.mark.parametrize(
    "text",
    [
        "sau " * 250,
        "rồi " * 250,
        '"' * MAX_CHARS,
        "“" * MAX_CHARS,
        "(" * MAX_CHARS,
        "trong vòng " * 90,
        "từ đến " * 140,
        "1:" * 500,
        "2 phút " * 140,
        "không " * 160,
        "a:" * 500,
        "\\" * MAX_CHARS,
        "x" * MAX_CHARS,
        "a\u0301" * 500,
        'ocr:"' * 200,
        ", " * 500,
    ],
    ids=lambda t: t[:8],
)
@pytest.mark.timeout(10)  # what would backtrack without end
def test_hostile_repetition_comes_to_an_end(text):
    """Twice the text takes about twice the work; how long that is on a quiet machine, bench/SEARCH.md says."""
    text = text[:MAX_CHARS]
    understood(text)  # what is remembered of words is not counted
    understood(text[: len(text) // 2])
    assert calls(lambda: understood(text)) < 2.5 * calls(lambda: understood(text[: len(text) // 2])) + 200


def test_beyond_the_limit_is_refused():
    with pytest.raises(QueryError):
        parse("a " * 500_000)
