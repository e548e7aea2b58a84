"""What stands around an island of a question: is there anything more to look for, another border, words that can be negated?

Islands are `grammar.py`; what one means is decided in `query.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from khung.search.grammar import Island, Node
from khung.search.scan import Token
from khung.text import key

SEPARATORS = ("then", "later", "before_event", "after_event")
"""The islands that are borders between two events."""
_ENDS = """và mà nhưng nào trong ở trên dưới tại với có va ma nhung nao o tren duoi tai and but or in on at with the that who is are
where while when for because as"""
_NEGATION_ENDS = frozenset(_ENDS.split())
_NOT = key("không")
_VERBS_VI = """mặc đội đeo cầm mang chạy đi đứng ngồi nằm bán mua chở phát lái ăn uống đang nói nhìn bước cười khóc chơi làm đá bơi leo hát múa nhảy đọc viết ôm bế
dắt đẩy kéo bay mở đóng dùng sử cưỡi đạp đánh ném bắt thả rửa nấu"""
_VERBS = frozenset(_VERBS_VI.split())
_THINGS_ING = """building ceiling clothing railing wedding painting lighting morning evening ring king wing string spring swing thing parking swimming crossing
running wing earring awning icing"""
_NO_VERBS = frozenset(_THINGS_ING.split())
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

    def negated_by(self, island: Island, most: int) -> list[Node]:
        """The nodes after a negation that are what is not there, up to `most`: until what else is said of who is (“không đeo kính mặc áo
        đen”, “without a hat riding a horse”)."""
        taken: list[Node] = []
        of_a_verb = island.nodes[-1].words[-1].key == _NOT
        for node in self.nodes[island.last :]:
            if len(taken) == most or not negatable(node):
                break
            if any(n.kind == "w" for n in taken) and _begins_another(node.words[0], of_a_verb):
                break
            taken.append(node)
        return taken

    def _free_after(self, island: Island) -> list[Node]:
        """The nodes after an island, up to the next border, that no other island took."""
        end = next((i.first for i in self.islands if i.first >= island.last and i.name in SEPARATORS), len(self.nodes))
        taken = {n for i in self.islands for n in range(i.first, i.last)}
        return [n for at, n in enumerate(self.nodes[island.last : end], island.last) if at not in taken]


def close_opening_clause(nodes: Sequence[Node]) -> None:
    """“Sau khi A, B”, “5 phút sau khi A, B”: the comma that ends an opening clause is the border between two events."""
    if "".join(n.kind for n in nodes[:2]) == "dQ" or (nodes and nodes[0].kind in "PQ"):
        comma = next((n for n in nodes if n.kind == ","), None)
        if comma:
            comma.kind = "C"


def negatable(node: Node) -> bool:
    """Can it be what is not there?"""
    return node.kind in "wNELB" and node.words[0].is_word and node.words[0].text.lower() not in _NEGATION_ENDS


def _begins_another(word: Token, of_a_verb: bool) -> bool:
    """A verb after what is negated: of an English participle it is always so, of a Vietnamese verb only after “không” and a verb,
    for “không có người đi bộ” has one of its own."""
    said = word.text.lower()
    if said.endswith("ing") and len(said) > 4 and said.isascii():
        return said not in _NO_VERBS and said.removesuffix("s") not in _NO_VERBS
    return of_a_verb and said in _VERBS


def _content(node: Node) -> bool:
    return node.kind not in "XIF,-" and node.words[0].is_word
