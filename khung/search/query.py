"""A question in Vietnamese or English, understood: `parse(text) -> ParsedQuery`, in about a tenth of a millisecond.

Only explicit `field:` terms and times in numbers filter; everything else only lifts what agrees, and a word that is
understood as a soft facet stays in the text as well. No language model, no guess that cannot be seen: each piece keeps
its span, and an ambiguous one comes with its other reading. Tokens are `scan.py`, patterns `grammar.py`, words
`lexicon.py`, fields and times `terms.py`, facets `facets.py`, courtesies `commands.py`, what becomes one event `segments.py`, what stands around a pattern `surroundings.py`.
"""

from collections.abc import Sequence

from khung.errors import QueryError
from khung.search.facets import soft_facets
from khung.search.grammar import Island, islands_of, nodes_of
from khung.search.parsed import ESCAPE, Alternative, Event, Facet, Gap, ParsedQuery, Piece
from khung.search.scan import scan
from khung.search.segments import Segment
from khung.search.surroundings import SEPARATORS, Surroundings, close_opening_clause
from khung.search.terms import Conditions, known, short
from khung.text import clean
from khung.text.language import language

MAX_CHARS = 1000
MAX_EVENTS = 6
_LATER = (0.5, 1.5)  # “2 minutes later” accepts half to one and a half times that gap
_MINUTE_MS = 60_000
_MAX_NEGATED = 4
_MAX_VALUE = 4


def parse(text: str, *, further: bool = False) -> ParsedQuery:
    """The question understood; `further`: as a step after another, so that a duration may be the time between the two. Raises QueryError beyond 1000 characters or six events, or when a time makes no sense."""
    if len(text) > MAX_CHARS:
        error = QueryError(f"The question has {len(text)} characters.", cure=f"At most {MAX_CHARS} are read.")
        raise error.known_as("field_too_long", where="q", most=MAX_CHARS)
    return _Reading(clean(text).strip(), further).query()


def _about(island: Island) -> tuple[Gap, str]:
    """The gap that a duration before or after “later” means, and what to call it."""
    ms = island.times[0]
    return Gap(round(ms * _LATER[0]), round(ms * _LATER[1])), f"about {short(ms)} later"


def _runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """The first and the last of each run of numbers that follow one another."""
    ends = [n for n in numbers if n + 1 not in numbers]
    return list(zip([n for n in numbers if n - 1 not in numbers], ends, strict=True))


class _Reading:
    """One pass over the islands of one text: the draft of a ParsedQuery. One method an island, named after it; a method
    that does not believe its island returns the nodes to the free text."""

    def __init__(self, text: str, further: bool) -> None:
        tokens = scan(text)
        self.text, self.further = text, further
        self.bare = not any(t.marked for t in tokens)
        self.nodes = nodes_of(tokens, bare=self.bare)
        close_opening_clause(self.nodes)
        self.islands = islands_of(self.nodes)
        self.around = Surroundings(self.nodes, self.islands)
        self.segments = [Segment()]
        self.gaps: list[Gap] = []
        self.within: int | None = None
        self.lead: Gap | None = None
        self.opening_gap: Gap | None = None
        self.swaps: list[int] = []
        self.conditions = Conditions()
        self.pieces: list[Piece] = []
        self.alternatives: list[Alternative] = []

    def query(self) -> ParsedQuery:
        at = 0
        for island in self.islands:
            if island.first < at:  # taken by a negation
                continue
            self.segments[-1].nodes += self.nodes[at : island.first]
            at = getattr(self, f"_{island.name}")(island) or island.last
        self.segments[-1].nodes += self.nodes[at:]
        return self._finish()

    # Times: hard.

    def _range(self, island: Island) -> None:
        start, end = island.times
        self._time(island, self.conditions.narrow(start, end))

    def _first(self, island: Island) -> None:
        self._time(island, self.conditions.narrow(None, island.times[-1]))

    def _last(self, island: Island) -> None:
        self.conditions.last_ms = island.times[0]
        self._time(island, f"last {short(island.times[0])}")

    def _until(self, island: Island) -> None:
        self._time(island, self.conditions.narrow(None, island.times[0]))

    def _at(self, island: Island) -> None:
        """A clock reaches 15 s around; “phút 3” is the third minute or the one that shows 3: both. Several (“phút 23, phút 108”) are words:
        no frame is at all of them."""
        if sum(i.name == "at" for i in self.islands) > 1:
            self.segments[-1].nodes += island.nodes
            return
        ms = island.times[0]
        minute = "k" not in island.kinds and ms % _MINUTE_MS == 0
        self._time(island, self.conditions.around(ms, _MINUTE_MS) if minute else self.conditions.around(ms))

    def _after(self, island: Island) -> None:
        """“A sau 2 phút B” is a gap between two events; without text on both sides, or with a clock, it is a time."""
        if island.kinds == "Sd" and self._leads(island):
            return self._later(island)
        if island.kinds == "Sd" and self.segments[-1] and self.around.event_after(island):
            scope = f"{self.text[: island.start]} after:{short(island.times[0])} {self.text[island.end :]}"
            self.alternatives.append(Alternative(f"{short(island.times[0])} →", " ".join(scope.split())))
            return self._later(island)
        return self._time(island, self.conditions.narrow(island.times[0], None))

    def _time(self, island: Island, label: str) -> None:
        self.pieces.append(Piece("time", label, island.start, island.end, hard=True))

    def _edge(self, island: Island) -> None:
        """A part of the video without a number: soft."""
        place = {"E": "start", "L": "end", "B": "middle"}[next(k for k in island.kinds if k in "ELB")]
        self.segments[-1].facets.append(Facet("position", (place,)))
        label = f"{place} of video"
        self.pieces.append(Piece("facet", label, island.start, island.end, field="position", values=(place,)))

    # Sequences.

    def _then(self, island: Island, gap: Gap | None = None, label: str = "then") -> None:
        """A border between two events; at an edge of the text it is only a word of courtesy."""
        if self.segments[-1] and self.around.content_after(island):
            self.segments.append(Segment())
            self.gaps.append(gap or self.opening_gap or Gap())
            self.opening_gap = None
            self.pieces.append(Piece("then", label, island.start, island.end))
            self._doubt(island)

    def _later(self, island: Island) -> None:
        gap, label = _about(island)
        if self._leads(island):
            self.lead = gap
            self.pieces.append(Piece("gap", label, island.start, island.end))
            return None
        if not self.segments[-1] or not self.around.content_after(island):
            return self._time(island, self.conditions.narrow(island.times[0], None))
        return self._then(island, gap, label)

    def _within(self, island: Island) -> None:
        """The longest gap, when there is any, or that to the step before; else plain words."""
        separated = any(i.name in SEPARATORS for i in self.islands)
        if not separated and not self.further:
            self.segments[-1].nodes += island.nodes
            return
        self.within = island.times[0]
        self.lead = self.lead if separated else Gap(0, self.within)
        self.pieces.append(Piece("gap", f"within {short(self.within)}", island.start, island.end))

    def _before_event(self, island: Island) -> None:
        """“A trước khi B” is A, then B; “trước khi B, A” the same."""
        if self.segments[-1]:
            self._then(island)
        elif self.around.border_after(island):
            self.swaps.append(0)

    def _after_event(self, island: Island) -> None:
        """“B sau khi A” is A, then B; “sau khi A, B” the same. “5 phút sau khi A, B”: so long after it."""
        gap, label = _about(island) if "d" in island.kinds else (None, "then")
        if self.segments[-1].names_something(bare=self.bare) and self.around.content_after(island):
            self.swaps.append(len(self.segments) - 1)
            self._then(island, gap, label)
        elif gap and self.around.border_after(island):
            self.opening_gap = gap
            self.pieces.append(Piece("gap", label, island.start, island.end))

    def _doubt(self, island: Island) -> None:
        """Bare “roi” is “then” or “falls”: the other reading is offered."""
        word = self.text[island.start : island.end]
        if self.bare and word.strip(" ,").lower() == "roi":
            plain = self.text[: island.start] + word.replace("r", f"{ESCAPE}r", 1) + self.text[island.end :]
            self.alternatives.append(Alternative("rơi", plain))

    # Words that are taken out of the text.

    def _without(self, island: Island) -> int | None:
        taken = self.around.negated_by(island, _MAX_NEGATED)
        words = [t for node in taken for t in node.words]
        facets, _ = soft_facets(words, bare=self.bare)
        doubtful = island.kinds == "g"  # "no" alone negates only a thing that is known
        if not taken or (doubtful and not any(f.field == "objects" for f in facets)):
            self.segments[-1].nodes += island.nodes
            return None
        segment, said = self.segments[-1], " ".join(t.text for t in words)
        segment.without.append(said)
        segment.facets += [Facet(f.field, f.values, negative=True) for f in facets]
        self.pieces.append(Piece("without", f"without {said}", island.start, taken[-1].end))
        return island.last + len(taken)

    def _quote(self, island: Island) -> None:
        said = self.text[island.start + 1 : island.end - 1].strip()
        if any(c.isalnum() for c in said):
            self.segments[-1].screen_text.append(said)
            self.pieces.append(Piece("screen_text", said, island.start, island.end))

    def _field(self, island: Island) -> int:
        """`field:value`; words after it that belong to the longest value that is known are taken, too: `obj:xe máy`."""
        last = island.last
        for at, node in enumerate(self.nodes[last : last + _MAX_VALUE], last + 1):
            if not node.words[0].is_word:
                break
            if known(self.text[island.start : node.end]):
                last = at
        end = self.nodes[last - 1].end
        label = self.conditions.read_field(self.text[island.start : end])
        self.pieces.append(Piece("field", label, island.start, end, hard=True))
        return last

    def _leads(self, island: Island) -> bool:
        """Does it stand at the head of a further step?"""
        alone = self.further and len(self.segments) == 1 and not self.segments[0]
        return alone and self.around.content_after(island)

    # The end.

    def _finish(self) -> ParsedQuery:
        if len(self.segments) > MAX_EVENTS:
            error = QueryError(
                f"The question has {len(self.segments)} steps.", cure=f"At most {MAX_EVENTS} are followed."
            )
            raise error.known_as("too_many_steps", steps=len(self.segments), most=MAX_EVENTS)
        events = [self._event(segment, opening=n == 0) for n, segment in enumerate(self.segments)]
        for first, last in _runs(self.swaps):  # “C sau khi B sau khi A” is A, B, C
            events[first : last + 2] = reversed(events[first : last + 2])
            self.gaps[first : last + 1] = reversed(self.gaps[first : last + 1])
        return ParsedQuery(
            text=self.text,
            language=language(self.text),
            marked=not self.bare,
            events=tuple(filter(None, events)) or self._verbatim(),
            gaps=tuple(self._gap(gap) for gap in self.gaps),
            where=self.conditions.where(),
            last_ms=self.conditions.last_ms,
            must_show=tuple(self.conditions.must_show),
            like=self.conditions.like,
            lead=self.lead,
            pieces=tuple(sorted(self.pieces, key=lambda p: (p.start, p.end))),
            alternatives=tuple(self.alternatives),
        )

    def _event(self, segment: Segment, *, opening: bool) -> Event:
        event, pieces, alternatives = segment.read(self.text, bare=self.bare, opening=opening)
        self.pieces += pieces
        self.alternatives += alternatives
        return event

    def _gap(self, gap: Gap) -> Gap:
        return Gap(gap.min_ms, self.within) if gap.max_ms is None else gap

    def _verbatim(self) -> tuple[Event, ...]:
        """A text of nothing but courtesies is taken at its word; with hard conditions it asks for nothing more."""
        said = " ".join(t.text for node in self.nodes for t in node.words if t.is_word)
        hard = any(piece.hard for piece in self.pieces)
        return (Event(said),) if said and not hard else ()
