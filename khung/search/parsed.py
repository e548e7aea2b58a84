"""How a question was understood: ParsedQuery and its parts, frozen. Every part knows the span of text that it came from.

Spans are `[start, end)` into `ParsedQuery.text`, so that an interface can show each piece as a removable chip. Reading
text is `query.py`; nothing here interprets.
"""

from dataclasses import dataclass, field

from khung.stores import FrameFilter

ESCAPE = "\\"
"""A word that begins with it is only a word: it is searched, never interpreted."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One interpreted piece of the text. `hard` pieces filter, the others only lift what agrees with them."""

    kind: str  # command | then | gap | time | field | screen_text | without | facet | count
    label: str  # for people, e.g. "2:30 →", "red"
    start: int
    end: int
    hard: bool = False
    field: str = ""  # of a facet or count: the name in Facet; of a field: its own name
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facet:
    """A soft condition: frames whose `field` (a name of Description, or `position`) holds one of `values` are lifted;
    frames that do not, when it is `negative`. `count`: how many of the object, (at least, at most)."""

    field: str
    values: tuple[str, ...]
    negative: bool = False
    count: tuple[int, int | None] | None = None


@dataclass(frozen=True, slots=True)
class Hard:
    """Conditions that a frame must meet."""

    where: FrameFilter = field(default_factory=FrameFilter)
    last_ms: int | None = None  # only the last so many ms of each video
    must_show: tuple[str, ...] = ()  # words that must stand on the screen

    def __bool__(self) -> bool:
        return bool(self.where or self.last_ms is not None or self.must_show)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing to be seen: what is left of its text, text on the screen, what must not be there, soft facets. An event that was asked
    in a step of its own may have conditions of its own, and a frame that it is to look like."""

    text: str = ""
    screen_text: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    facets: tuple[Facet, ...] = ()
    hard: Hard = field(default_factory=Hard)
    like: str = ""

    def __bool__(self) -> bool:
        return bool(self.text or self.screen_text or self.without or self.facets)


@dataclass(frozen=True, slots=True)
class Gap:
    """Time from one event to the next, in ms: at least, at most (None: the engine's default)."""

    min_ms: int = 0
    max_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another reading of an ambiguous text, as the text that asks for it without doubt."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """Events with the gaps between them (`len(gaps) == len(events) - 1`), hard conditions, and every piece with its span."""

    text: str  # NFC; what the spans point into
    language: str  # vi | en: a guess, never a gate
    marked: bool  # the text has Vietnamese marks
    events: tuple[Event, ...] = ()
    gaps: tuple[Gap, ...] = ()
    where: FrameFilter = field(default_factory=FrameFilter)
    last_ms: int | None = None  # hard: only the last so many ms of each video
    must_show: tuple[str, ...] = ()  # `ocr:` fields: words that must stand on the screen
    like: str = ""  # a frame id
    lead: Gap | None = None  # of a further step: the time since the one before it, when it names one
    pieces: tuple[Piece, ...] = ()
    alternatives: tuple[Alternative, ...] = ()

    @property
    def hard(self) -> Hard:
        """The conditions for all events."""
        return Hard(self.where, self.last_ms, self.must_show)

    def without_piece(self, piece: Piece) -> str:
        """The text that asks the same without this piece: soft words stay as plain words, the rest is cut out."""
        inside = self.text[piece.start : piece.end]
        if not piece.hard and piece.kind in ("facet", "count", "then"):
            inside = " ".join(ESCAPE + word for word in inside.split())
        else:
            inside = " "
        return " ".join((self.text[: piece.start] + inside + self.text[piece.end :]).split())
