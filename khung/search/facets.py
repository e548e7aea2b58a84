"""Soft facets in a question's words: objects, colours, time of day, weather, place, emotions, counts.

They lift frames and never filter: recognition is imperfect, and so is reading. The words stay in the text.
"""

from collections.abc import Sequence

from khung.search.lexicon import FACETS, STRUCTURE, Entry
from khung.search.parsed import Alternative, Facet, Piece
from khung.search.scan import Token

# In a question without marks a colour of one syllable is believed after one of these ("ao do", but not "do choi").
_COLOR_HOSTS = frozenset(
    ("ao", "quan", "vay", "dam", "mu", "non", "xe", "mau", "giay", "khan", "tui", "hoa", "toc", "long")
)
_CLASSIFIERS = frozenset(("con", "chiếc", "cái", "người", "bức", "quả", "cô", "anh", "ông", "bà", "em", "đứa", "đôi"))
_MANY = {("nhiều",): 3, ("many",): 3, ("several",): 3, ("đông",): 5, ("lots", "of"): 3}
_AT_LEAST = {("ít", "nhất"), ("at", "least"), ("hơn",), ("more", "than"), ("trên",), ("over",)}
GREEN_OR_BLUE = "blue,green"


def soft_facets(words: Sequence[Token], *, bare: bool) -> tuple[list[Facet], list[Piece]]:
    """The facets among the words of one event, with their pieces. `bare`: the whole question has no marks."""
    facets, pieces, at = [], [], 0
    while at < len(words):
        found = _find(words, at, bare)
        if not found:
            at += 1
            continue
        entry, length = found
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
    before = at - 1 if at and words[at - 1].text.lower() in _CLASSIFIERS else at
    if many := _many(words, before):
        return Facet("objects", values, count=(many[0], None)), many[1]
    number = _number(words, before - 1, bare) if before else None
    if number is None or not 2 <= number <= 100:
        return Facet("objects", values), at
    more = next((n for n in (2, 1) if _said(words, before - 1, n) in _AT_LEAST), 0)
    return Facet("objects", values, count=(number, None if more else number)), before - 1 - more


def _many(words: Sequence[Token], end: int) -> tuple[int, int] | None:
    lengths = (n for n in (2, 1) if n <= end and _said(words, end, n) in _MANY)
    return next(((_MANY[_said(words, end, n)], end - n) for n in lengths), None)


def _said(words: Sequence[Token], end: int, length: int) -> tuple[str, ...]:
    return tuple(t.text.lower() for t in words[end - length : end]) if length <= end else ()


def _number(words: Sequence[Token], at: int, bare: bool) -> int | None:
    token = words[at]
    if isinstance(token.value, float):
        return int(token.value)
    found = STRUCTURE.find(words, at, bare=bare, kinds=("N",))
    return int(float(found[0].value)) if found and found[1] == 1 else None


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
