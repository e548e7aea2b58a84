"""Soft facets in a question's words: objects, colours, time of day, weather, place, emotions, counts.

They lift frames and never filter: recognition is imperfect, and so is reading. The words stay in the text.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

from khung.search.lexicon import FACETS, STRUCTURE, Entry
from khung.search.parsed import Alternative, Facet, Piece
from khung.search.scan import Token
from khung.text import fold, norm

T = TypeVar("T")

# In a question without marks a colour of one syllable is believed after one of these ("ao do", but not "do choi").
_COLOR_HOSTS = frozenset(
    ("ao", "quan", "vay", "dam", "mu", "non", "xe", "mau", "giay", "khan", "tui", "hoa", "toc", "long")
)


def _by_marks(words: Mapping[str, T]) -> dict[bool, dict[str, T]]:
    """The same words for a question with marks (False) and for a bare one (True)."""
    return {False: dict(words), True: {" ".join(map(fold, w.split())): value for w, value in words.items()}}


_CLASSIFIERS = {
    False: frozenset(
        ("con", "chiếc", "cái", "người", "bức", "quả", "cô", "anh", "ông", "bà", "em", "đứa", "đôi", "đoàn")
    ),
    True: frozenset(("con", "chiec", "cai", "nguoi", "qua", "dua")),  # "ba" is bà, but also three
}
_MANY = _by_marks({"nhiều": 3, "many": 3, "several": 3, "đông": 5, "lots of": 3})
_AT_LEAST = _by_marks({"ít nhất": 0, "at least": 0, "hơn": 1, "more than": 1, "over": 1})  # and how much more


def soft_facets(words: Sequence[Token], *, bare: bool) -> tuple[list[Facet], list[Piece]]:
    """The facets among the words of one event, with their pieces. `bare`: the whole question has no marks."""
    facets, pieces, at = [], [], 0
    while at < len(words):
        found = _find(words, at, bare)
        if not found:
            at += 1
            continue
        entry, length = found
        if entry.kind == "plain":
            at += length
            continue
        facet, first = _facet(entry, words, at, bare)
        if facet not in facets:
            facets.append(facet)
        pieces.append(_piece(facet, words[first].start, words[at + length - 1].end))
        at += length
    return facets, pieces


def _find(words: Sequence[Token], at: int, bare: bool) -> tuple[Entry, int] | None:
    if words[at].kind == "W":
        return None
    found = FACETS.find(words, at, bare=bare) or _hosted_color(words, at, bare)
    return None if found and any(t.kind == "W" for t in words[at : at + found[1]]) else found


def _hosted_color(words: Sequence[Token], at: int, bare: bool) -> tuple[Entry, int] | None:
    if not bare or not at or words[at - 1].fold not in _COLOR_HOSTS:
        return None
    return FACETS.find(words, at, bare=True, kinds=("colors",), believe=True)


def _facet(entry: Entry, words: Sequence[Token], at: int, bare: bool) -> tuple[Facet, int]:
    """The facet of an entry at `words[at]`, and where its piece begins: a count stands before its object."""
    values = tuple(entry.value.split(","))
    if entry.kind != "objects":
        return Facet(entry.kind, values), at
    before = at - 1 if at and _said(words, at, 1, bare) in _CLASSIFIERS[bare] else at
    if length := _ending(words, before, _MANY[bare], bare):
        return Facet("objects", values, count=(_MANY[bare][_said(words, before, length, bare)], None)), before - length
    number, length = _number(words, before, bare)
    if not 2 <= number <= 100:
        return Facet("objects", values), at
    first = before - length
    more = _ending(words, first, _AT_LEAST[bare], bare)
    count = (number + _AT_LEAST[bare][_said(words, first, more, bare)], None) if more else (number, number)
    return Facet("objects", values, count=count), first - more


def _number(words: Sequence[Token], end: int, bare: bool) -> tuple[int, int]:
    """The number that ends before `words[end]` and how many words it has; (0, 0) if none does, or a stop stands between."""
    if end and end < len(words) and words[end].start > words[end - 1].end + 1:
        return 0, 0
    if end and isinstance(words[end - 1].value, float):
        return int(words[end - 1].value), 1
    for length in (3, 2, 1):
        found = STRUCTURE.find(words, end - length, bare=bare, kinds=("N",)) if length <= end else None
        if found and found[1] == length:
            return int(float(found[0].value)), length
    return 0, 0


def _ending(words: Sequence[Token], end: int, phrases: Collection[str], bare: bool) -> int:
    """How many words of a phrase end before `words[end]`."""
    return next((n for n in (2, 1) if n <= end and _said(words, end, n, bare) in phrases), 0)


def _said(words: Sequence[Token], end: int, length: int, bare: bool) -> str:
    return " ".join(t.fold if bare else norm(t.text) for t in words[end - length : end])


def _piece(facet: Facet, start: int, end: int) -> Piece:
    label = " / ".join(facet.values)
    if facet.count is None:
        return Piece("facet", label, start, end, field=facet.field, values=facet.values)
    low, high = facet.count
    return Piece(
        "count", f"{label} {'=' if low == high else '≥'} {low}", start, end, field=facet.field, values=facet.values
    )


def color_alternatives(text: str, words: Sequence[Token], facets: Sequence[Facet]) -> list[Alternative]:
    """“xanh” alone is blue or green: the two narrower questions."""
    if not any(f.values == ("blue", "green") for f in facets):
        return []
    at = next((t for t in words if t.fold == "xanh"), None)
    if at is None:
        return []
    return [
        Alternative(label, f"{text[: at.end]} {more}{text[at.end :]}")
        for label, more in (("green", "lá"), ("blue", "dương"))
    ]
