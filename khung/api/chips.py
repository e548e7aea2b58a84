"""How a question was understood, as removable chips; and the facets of an answer, as links that add or remove a filter.

What lives here: the words and links around a result. What does not: the result, the templates.
"""

import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import chain

from khung.api.pagestate import PageState
from khung.api.schemas import FACET_FIELDS
from khung.search.parsed import Alternative, ParsedQuery, Piece
from khung.search.query import parse
from khung.web.strings import Words
from khung.web.values import word

SHOWN_FACETS = ("object", "place", "scene_type", "time_of_day", "weather", "color", "emotion", "action")
_UNTOLD = frozenset({"command"})  # pieces that mean nothing to the answer
_SAID = {
    "without (.+)": "said_without",
    "within (.+)": "said_within",
    "about (.+) later": "said_later",
    "(then)": "then",
}


@dataclass(frozen=True, slots=True)
class Link:
    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Chip:
    kind: str
    title: str
    label: str
    remove_url: str = ""
    image: str = ""
    alternatives: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class FacetValue:
    label: str
    count: int
    url: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class FacetGroup:
    title: str
    values: list[FacetValue] = field(default_factory=list)


def chips_of(state: PageState, parsed: ParsedQuery | None, t: Words) -> list[Chip]:
    """The pieces of the text first, then what the address adds."""
    return [
        *_pieces(state, parsed, t),
        *_steps(state, t),
        *_pictures(state, t),
        *_feedback(state, t),
        *_filters(state, t),
    ]


def facets_of(state: PageState, counts: Mapping[str, Mapping[str, int]], t: Words) -> list[FacetGroup]:
    """The facets with a value to choose, most frequent first; chosen values stay even when nothing is left of them."""
    groups = []
    for name in SHOWN_FACETS:
        field_name = FACET_FIELDS[name]
        values = {value: count for value, count in counts.get(field_name, {}).items() if value and value != "unknown"}
        values |= {value: values.get(value, 0) for value in getattr(state, name)}
        ordered = sorted(values, key=lambda value: (value not in getattr(state, name), -values[value], value))
        shown = [
            FacetValue(word(value, t), values[value], state.toggling(name, value), value in getattr(state, name))
            for value in ordered
        ]
        if shown:
            groups.append(FacetGroup(t(f"facet_{field_name}"), shown))
    return groups


def _pieces(state: PageState, parsed: ParsedQuery | None, t: Words) -> list[Chip]:
    """Only what was interpreted: plain words stand in the box already."""
    if parsed is None:
        return []
    return _told(parsed, _UNTOLD, lambda text: state.url(q=text), t)


def _steps(state: PageState, t: Words) -> list[Chip]:
    """The same for each further step, whose conditions are its own."""
    chips = []
    for at, text in enumerate(state.then):
        told = _told(parse(text, further=True), _UNTOLD, lambda said, at=at: state.with_step(at, said), t)
        chips += [replace(chip, title=f"{t('step_n', n=at + 2)} · {chip.title}") for chip in told]
    return chips


def _told(parsed: ParsedQuery, untold: Set[str], url: Callable[[str], str], t: Words) -> list[Chip]:
    """A chip a piece; other readings of the text stand at the piece that they read differently, or at the last."""
    told = [piece for piece in parsed.pieces if piece.kind not in untold]
    chips = []
    for piece in told:
        others = [one for one in parsed.alternatives if _piece_of(one, told) is piece]
        links = tuple(Link(word(one.label, t), url(one.text)) for one in others)
        title = t.maybe(
            f"facet_{FACET_FIELDS.get(piece.field, piece.field)}", t.maybe(f"chip_{piece.kind}", piece.kind)
        )
        chips.append(Chip(piece.kind, title, _label(piece, t), url(parsed.without_piece(piece)), "", links))
    return chips


def _label(piece: Piece, t: Words) -> str:
    """What the parser calls it, in the interface's language; the chip's title says the rest."""
    if piece.values:
        said = ", ".join(word(value, t) for value in piece.values)
        return said if piece.kind == "facet" else said + piece.label.removeprefix(" / ".join(piece.values))
    for pattern, key in _SAID.items():
        if found := re.fullmatch(pattern, piece.label):
            return t(key, rest=found[1])
    return piece.label


def _piece_of(reading: Alternative, pieces: Sequence[Piece]) -> Piece | None:
    """The piece that was read one way of two: it holds the other among its values, or else it is a “then”."""
    held = (piece for piece in pieces if reading.label in piece.values)
    steps = (piece for piece in pieces if piece.kind == "then")
    return next(chain(held, steps, reversed(pieces)), None)


def _pictures(state: PageState, t: Words) -> list[Chip]:
    chips = []
    if state.like:
        chips.append(Chip("like", "", t("like_query", frame=state.like), state.url(like=""), thumb_url(state.like)))
    if state.image:
        chips.append(Chip("image", "", t("image_query"), state.url(image=""), f"/v1/query-images/{state.image}"))
    return chips


def _feedback(state: PageState, t: Words) -> list[Chip]:
    pairs = [("more", one) for one in state.more] + [("less", one) for one in state.less]
    return [Chip(kind, t(f"chip_{kind}"), one, state.removing(kind, one), thumb_url(one)) for kind, one in pairs]


def _filters(state: PageState, t: Words) -> list[Chip]:
    chips = [
        Chip("filter", t(f"chip_{name}"), value if "video" in name else word(value, t), state.removing(name, value))
        for name in ("video", "not_video", "object", "not_object")
        for value in getattr(state, name)
    ]
    chips += [
        Chip("filter", t(f"facet_{FACET_FIELDS[name]}"), word(value, t), state.removing(name, value))
        for name in SHOWN_FACETS[1:]
        for value in getattr(state, name)
    ]
    times = [("from", "time_from"), ("to", "time_to")]
    chips += [
        Chip("time", t(f"chip_{title}"), getattr(state, name), state.url(**{name: ""}))
        for title, name in times
        if getattr(state, name).strip()
    ]
    return chips


def thumb_url(frame_id: str) -> str:
    return f"/v1/images/{frame_id}/thumb.webp"
