"""What stands around an island of a question: is there anything more to look for, another border, words that can be negated?

Islands are `grammar.py`; what one means is decided in `query.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from khung.search.grammar import Island, Node

SEPARATORS = ("then", "later", "before_event", "after_event")
"""The islands that are borders between two events."""
_ENDS = """và mà nhưng nào trong ở trên dưới tại với có va ma nhung nao o tren duoi tai and but or in on at with the that who is are"""
_NEGATION_ENDS = frozenset(_ENDS.split())
_BEFORE_PLACES = "tren duoi trong o tai ben voi canh gan in on at with near under inside by"
_PREPOSITIONS = frozenset(_BEFORE_PLACES.split())


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The nodes of one text and the islands among them."""

    nodes: Sequence[Node]
    islands: Sequence[Island]

    def content_after(self, island: Island) -> bool:
        """Is there anything to look for before the next border, or a quote or a negation at any distance?"""
        return any(_content(n) for n in self._free_after(island)) or any(
            i.name in ("quote", "without") and i.first >= island.last for i in self.islands
        )

    def border_after(self, island: Island) -> bool:
        return any(i.name in SEPARATORS and i.first >= island.last for i in self.islands)

    def event_after(self, island: Island) -> bool:
        """Is it something of its own, and no place of what stands before?"""
        after = [n for n in self._free_after(island) if _content(n)]
        return bool(after) and after[0].words[0].fold not in _PREPOSITIONS

    def _free_after(self, island: Island) -> list[Node]:
        """The nodes after an island, up to the next border, that no other island took."""
        end = next((i.first for i in self.islands if i.first >= island.last and i.name in SEPARATORS), len(self.nodes))
        taken = {n for i in self.islands for n in range(i.first, i.last)}
        return [n for at, n in enumerate(self.nodes[island.last : end], island.last) if at not in taken]


def close_opening_clause(nodes: Sequence[Node]) -> None:
    """“Sau khi A, B”: the comma that ends an opening clause is the border between two events."""
    if nodes and nodes[0].kind in "PQ":
        comma = next((n for n in nodes if n.kind == ","), None)
        if comma:
            comma.kind = "C"


def negatable(node: Node) -> bool:
    """Can it be what is not there?"""
    return node.kind in "wNELB" and node.words[0].is_word and node.words[0].text.lower() not in _NEGATION_ENDS


def _content(node: Node) -> bool:
    return node.kind not in "XIF,-" and node.words[0].is_word
