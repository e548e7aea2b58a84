"""The hard part of a question: `field:value` terms and times in numbers, gathered into one FrameFilter."""

from dataclasses import dataclass, field

from khung.errors import QueryError
from khung.search.lexicon import FACETS
from khung.stores import FrameFilter
from khung.text import fold, norm
from khung.timecode import format_ms, parse_ms
from khung.vision.vocabulary import scenes, vocabulary

_FACET_FIELDS = {
    "color": "colors",
    "time": "time_of_day",
    "place": "place",
    "weather": "weather",
    "emotion": "emotions",
    "scene": "scene_type",
    "action": "actions",
}
_OPEN = ("scene_type", "actions")  # fields without a closed list of values
# As `time:sáng` they are meant; in free text they mean more than a part of the day.
_TIMES = {"sáng": "morning", "trưa": "noon", "chiều": "afternoon", "tối": "evening", "đêm": "night"}
_TIMES |= {fold(word): time for word, time in _TIMES.items()}
AT_MS = 15_000
"""“at 2:30” reaches 15 s to either side."""


@dataclass(slots=True)
class Conditions:
    """Hard conditions while they are gathered; times intersect, values of one field add up."""

    videos: list[str] = field(default_factory=list)
    not_videos: list[str] = field(default_factory=list)
    objects: list[str] = field(default_factory=list)
    not_objects: list[str] = field(default_factory=list)
    facets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    from_ms: int | None = None
    to_ms: int | None = None
    last_ms: int | None = None
    must_show: list[str] = field(default_factory=list)
    like: str = ""

    def narrow(self, from_ms: int | None, to_ms: int | None) -> str:
        """Keep only times in `[from_ms, to_ms)`; returns a label. Raises QueryError when nothing can be left."""
        after = [t for t in (self.from_ms, from_ms) if t is not None]
        before = [t for t in (self.to_ms, to_ms) if t is not None]
        self.from_ms, self.to_ms = max(after, default=None), min(before, default=None)
        if self.from_ms is not None and self.to_ms is not None and self.from_ms >= self.to_ms:
            low, high = short(self.from_ms), short(self.to_ms)
            error = QueryError(
                f"No time is both after {low} and before {high}.",
                cure="Write the earlier time first, or drop one of the two.",
            )
            raise error.known_as("times_crossed", low=low, high=high)
        return f"{short(from_ms)} → {short(to_ms)}".strip()

    def around(self, ms: int, reach_ms: int = AT_MS) -> str:
        return self.narrow(max(ms - reach_ms, 0), ms + reach_ms)

    def where(self) -> FrameFilter:
        return FrameFilter(
            videos=tuple(self.videos),
            not_videos=tuple(self.not_videos),
            from_ms=self.from_ms,
            to_ms=self.to_ms,
            objects=tuple(self.objects),
            not_objects=tuple(self.not_objects),
            facets=dict(self.facets),
        )

    def read_field(self, term: str) -> str:
        """Take `name:value` or `-name:value` in; returns a label. Raises QueryError, naming what is wrong."""
        name, _, value = term.partition(":")
        value = value.strip('"“”').strip()
        negative, name = name.startswith("-"), name.lstrip("-").lower()
        if not value:
            error = QueryError(f"“{term}” names no value.", cure=f"Write {name}:VALUE.")
            raise error.known_as("term_without_value", term=term, name=name)
        if name in ("video", "obj", "object"):
            self._add_id(name, value, negative)
        elif negative:
            error = QueryError(
                f"“{term}” cannot be negated.", cure="Only video: and obj: can; use “without …” for others."
            )
            raise error.known_as("term_not_negated", term=term)
        elif name in _FACET_FIELDS:
            self._add_facet(_FACET_FIELDS[name], name, value)
        else:
            self._add_other(name, value)
        return f"{'not ' if negative else ''}{name}: {value}"

    def _add_id(self, name: str, value: str, negative: bool) -> None:
        if name == "video":
            (self.not_videos if negative else self.videos).append(value)
        else:
            labels = (_object(value) or norm(value)).split(",")
            if negative:
                self.not_objects += labels
            elif len(labels) == 1:
                self.objects += labels
            else:  # “xe” is any vehicle; `objects` asks for all of its values
                self.facets["objects"] = self.facets.get("objects", ()) + tuple(labels)

    def _add_facet(self, facet: str, name: str, value: str) -> None:
        found = _value(facet, value) or (norm(value) if facet in _OPEN else None)
        if found is None:
            there = ", ".join(FACETS.values(facet))
            error = QueryError(f"“{value}” is no {name} that is known.", cure=f"Known: {there}.")
            raise error.known_as("value_unknown", value=value, name=name, there=there)
        self.facets[facet] = self.facets.get(facet, ()) + tuple(found.split(","))

    def _add_other(self, name: str, value: str) -> None:
        if name in ("ocr", "text"):
            self.must_show.append(value)
        elif name == "like":
            self.like = value
        elif name == "after":
            self.narrow(parse_ms(value), None)
        elif name == "before":
            self.narrow(None, parse_ms(value))
        else:
            self.around(parse_ms(value))


def known(term: str) -> bool:
    """Is it `name:value` with a value of several words that stands in the vocabulary?"""
    name, _, value = term.lstrip("-").partition(":")
    if name.lower() in ("obj", "object"):
        return _object(value) is not None
    facet = _FACET_FIELDS.get(name.lower())
    return facet is not None and _value(facet, value) is not None


def _object(value: str) -> str | None:
    """The detector's classes that a word names, joined by commas."""
    return norm(value) if norm(value) in vocabulary("object") else FACETS.value("objects", value)


def _value(facet: str, value: str) -> str | None:
    """The values of a facet that a word names in either language, joined by commas."""
    own = norm(value)
    if facet == "scene_type":
        return next((scene.en for scene in scenes() if own in (scene.en, norm(scene.vi))), None)
    if facet == "time_of_day" and own in _TIMES:
        return _TIMES[own]
    return own if own in FACETS.values(facet) else FACETS.value(facet, value)


def short(ms: int | None) -> str:
    """A time for people: `2:30`, `1:02:03.5`; nothing for None."""
    return "" if ms is None else format_ms(ms).removesuffix(".000")
