"""The patterns of a question: typed nodes, and the islands of meaning among them (times, gaps, "then", negation).

An island grammar: words that fit no pattern stay plain words. Times are relative to the video, in ms. What the islands
mean for the search is `query.py`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from khung.search.lexicon import STRUCTURE
from khung.search.scan import Token
from khung.timecode import parse_ms

_UNIT_MS = {"h": 3_600_000, "m": 60_000, "s": 1_000}
_NEXT_UNIT = {"h": "m", "m": "s", "s": "s"}


@dataclass(slots=True)
class Node:
    """One token, or a phrase or quantity of several, under one kind; `ms` of a time."""

    kind: str
    words: list[Token]
    value: str = ""
    ms: int = 0

    @property
    def start(self) -> int:
        return self.words[0].start

    @property
    def end(self) -> int:
        return self.words[-1].end


@dataclass(slots=True)
class Island:
    """A pattern that matched `nodes[first:last]`, under its name."""

    name: str
    first: int
    last: int
    nodes: list[Node]

    @property
    def start(self) -> int:
        return self.nodes[0].start

    @property
    def end(self) -> int:
        return self.nodes[-1].end

    @property
    def kinds(self) -> str:
        return _kinds(self.nodes)

    @property
    def times(self) -> list[int]:
        """The times in it, in ms and in order; a bare number has the unit of the time beside it."""
        timed = [n for n in self.nodes if n.kind in "kdm"]
        return [_time_of(n, timed[0]) for n in self.nodes if n.kind in ("kdmN" if self.name == "range" else "kdm")]


def nodes_of(tokens: Sequence[Token], *, bare: bool) -> list[Node]:
    """Phrases of the lexicon and quantities become single nodes."""
    return _without_clocks(_quantities(_phrases(tokens, bare)))


def _phrases(tokens: Sequence[Token], bare: bool) -> list[Node]:
    nodes, at = [], 0
    while at < len(tokens):
        token = tokens[at]
        found = STRUCTURE.find(tokens, at, bare=bare) if token.kind == "w" else None
        if found and all(t.kind == "w" for t in tokens[at : at + found[1]]):
            entry, length = found
            nodes.append(Node(entry.kind, list(tokens[at : at + length]), entry.value))
            at += length
        else:
            nodes.append(_single(token))
            at += 1
    return nodes


def _single(token: Token) -> Node:
    if token.kind == "d":
        return Node("d", [token], "s", _compact_ms(token.text))
    return Node(token.kind, [token], "" if token.value is None else str(token.value))


# A duration (2 phút 30 giây, 2 phút rưỡi), then a minute or second of the video (phút thứ 2, phút 2 giây 30). A number in letters (n) after
# a unit is none without “thứ”, nor is a unit of one letter (u) but after a number in digits: “bây giờ ba người”, “it's a dog”.
_QUANTITY = re.compile(r"(?P<d>(?:[Nn]U|Nu)+Z?)|(?P<m>UH[Nn](?:U[Nn])?|UN(?:UN)?)")


def _quantities(nodes: list[Node]) -> list[Node]:
    if not any(node.kind == "U" for node in nodes):
        return nodes
    joined, last = [], 0
    for match in _QUANTITY.finditer("".join(map(_as_written, nodes))):
        part = nodes[match.start() : match.end()]
        words = [word for node in part for word in node.words]
        joined += [*nodes[last : match.start()], Node(str(match.lastgroup), words, _unit(part), _sum_ms(part))]
        last = match.end()
    return joined + nodes[last:]


def _as_written(node: Node) -> str:
    """The kind; in a small letter a number in letters and a unit of one."""
    letters = node.kind == "N" and node.words[0].kind != "N"
    letter = node.kind == "U" and len(node.words[0].text) == 1
    return node.kind.lower() if letters or letter else node.kind


# What a clock on the wall shows is no place in a video: “từ 7 giờ đến 9 giờ sáng”, “at 9:00 pm”, “sau 17h”.
_CLOCK = re.compile(r"(?:[kdN][D-])?[kd]Y?(?![EL])")
_DAY_MS = 4 * _UNIT_MS["h"]  # so many hours and more, as “giờ” or “h”, are such a clock


def _without_clocks(nodes: list[Node]) -> list[Node]:
    for match in _CLOCK.finditer(_kinds(nodes)):
        part = nodes[match.start() : match.end()]
        by_the_word = part[-1].kind == "Y" and any(n.kind == "k" or n.ms >= _UNIT_MS["h"] for n in part)
        if by_the_word or any(map(_of_the_day, part)):
            for node in part:
                node.kind = "w"
    for node in nodes:
        if node.kind == "Y":
            node.kind = "w"
    return nodes


def _of_the_day(node: Node) -> bool:
    said = " ".join(word.text.lower() for word in node.words)
    return node.kind == "d" and node.ms >= _DAY_MS and re.search(r"giờ|gio|\dh|\bh\b", said) is not None


def _kinds(nodes: Sequence[Node]) -> str:
    return "".join(n.kind for n in nodes)


def _unit(part: Sequence[Node]) -> str:
    return next(n.value for n in part if n.kind == "U")


def _sum_ms(part: Sequence[Node]) -> int:
    """Numbers times units, in whichever order the language puts them; “rưỡi” is half of the last unit."""
    numbers = [float(n.value) for n in part if n.kind == "N"]
    units = [_UNIT_MS[n.value] for n in part if n.kind == "U"]
    total = sum(n * u for n, u in zip(numbers, units, strict=True))
    return round(total + (units[-1] / 2 if part[-1].kind == "Z" else 0))


def _compact_ms(text: str) -> int:
    """`2m30s`, `2p30`, `90s`: a number without a unit takes the next smaller one."""
    total, unit = 0, "h"
    for number, name in re.findall(r"(\d+)([a-z]*)", text.lower()):
        unit = {"p": "m"}.get(name[:1], name[:1]) or _NEXT_UNIT[unit]
        total += int(number) * _UNIT_MS[unit]
    return total


def _time_of(node: Node, beside: Node) -> int:
    if node.kind == "N":
        return round(float(node.value) * _UNIT_MS[beside.value])
    return parse_ms(node.words[0].text) if node.kind == "k" else node.ms


_P = "[kdm]"
_VIDEO = "(?:F?X)?"
_ISLANDS = re.compile(
    "|".join(
        f"(?P<{name}>{pattern})"
        for name, pattern in {
            "first": f"[IV@]?(?:Ed|(?:[Nd]-)?dE){_VIDEO}",
            "range": f"[RVIB@]{{0,2}}(?:{_P}[D-]{_P}|N[D-]d|m[D-]N)|B{_P}A{_P}",
            "last": f"[IV@]?(?:Ld|dL){_VIDEO}|@?LF?Xd",
            "later": ",?(?:C,?@?Sd|C,?@?d[SC]?|A?@?d[SC]),?",
            "edge": "[@I]?[ELB]F?X|[@I][EL]$",
            "after": f"[SR]{_P}O?{_VIDEO}",
            "until": f"T{_P}{_VIDEO}|D[km]{_VIDEO}",
            "at": "[@I]?m|@k",
            "within": ",?[VI]d",
            "then": ",?A?C+,?",
            "before_event": ",?P",
            "after_event": ",?d?Q",
            "without": "[Gg]",
            "quote": "q",
            "field": "f",
        }.items()
    )
)


def islands_of(nodes: Sequence[Node]) -> list[Island]:
    """What the patterns find, from left to right, never overlapping."""
    return [
        Island(str(m.lastgroup), m.start(), m.end(), list(nodes[m.start() : m.end()]))
        for m in _ISLANDS.finditer(_kinds(nodes))
    ]
