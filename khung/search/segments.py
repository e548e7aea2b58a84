"""What becomes one event of a question: the words left between its borders, and what was taken out of them. Borders are `query.py`'s."""

from dataclasses import dataclass, field, replace

from khung.search.commands import strip_commands
from khung.search.facets import color_alternatives, soft_facets
from khung.search.grammar import Node
from khung.search.lexicon import COMMANDS
from khung.search.parsed import Alternative, Event, Facet, Piece
from khung.search.scan import Token


@dataclass(slots=True)
class Segment:
    """The nodes left free, and what was taken out of them."""

    nodes: list[Node] = field(default_factory=list)
    screen_text: list[str] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    facets: list[Facet] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.words() or self.screen_text or self.without)

    def words(self) -> list[Token]:
        return [t for node in self.nodes for t in node.words if t.is_word]

    def names_something(self, *, bare: bool) -> bool:
        """Is there more than a word for what is looked for (“cảnh”)?"""
        words = self.words()
        alone = COMMANDS.find(words, 0, bare=bare, kinds=("thing",)) if words else None
        return bool(self) and (alone is None or alone[1] < len(words) or bool(self.screen_text or self.without))

    def read(self, text: str, *, bare: bool, opening: bool) -> tuple[Event, list[Piece], list[Alternative]]:
        """The event, what was understood on the way, and other readings. `text`: the whole question; `opening`: is this its beginning?"""
        words, pieces = self.words(), []
        first, last = strip_commands(words, bare=bare, opening=opening)
        for stripped in (words[:first], words[last:]):
            if stripped:
                label = " ".join(t.text for t in stripped)
                pieces.append(Piece("command", label, stripped[0].start, stripped[-1].end))
        words = words[first:last]
        facets, of_facets = soft_facets(words, bare=bare)
        event = Event(
            text=" ".join(t.text for t in words),
            screen_text=tuple(self.screen_text),
            without=tuple(self.without),
            facets=(*facets, *(f for f in self.facets if not f.negative or replace(f, negative=False) not in facets)),
        )
        return event, pieces + of_facets, color_alternatives(text, words, facets)
