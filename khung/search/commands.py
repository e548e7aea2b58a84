"""Words of courtesy and command around a question ("tìm cho tôi cảnh có …", "show me scenes with …"): not searched."""

from collections.abc import Sequence

from khung.search.lexicon import COMMANDS
from khung.search.scan import Token


def strip_commands(words: Sequence[Token], *, bare: bool, opening: bool) -> tuple[int, int]:
    """The range `[first, last)` of `words` that is the question itself. `opening`: these words begin the whole question.

    A verb is a command only at the opening. A thing ("cảnh", "scenes") counts after a verb or before a link ("có", "with");
    a question that would lose all its words keeps them.
    """
    at, verb = _take(words, 0, "verb", bare) if opening else (0, False)
    for _ in range(2):  # "video quay cảnh …"
        at, verb = _introduction(words, at, verb, bare, opening)
    last = _without_tail(words, at, bare)
    return (at, last) if at < last else (0, len(words))


def _introduction(words: Sequence[Token], at: int, verb: bool, bare: bool, opening: bool) -> tuple[int, bool]:
    """Skip “các cảnh có” if it is an introduction; where to go on, and whether a command has been read by now."""
    after_fillers, _ = _take(words, at, "filler", bare, times=2)
    after_thing, thing = _take(words, after_fillers, "thing", bare)
    after_link, link = _take(words, after_thing, "link", bare) if thing or verb else (at, False)
    if (verb and (thing or link)) or (thing and (link or (opening and not bare))):
        return after_link, verb or (thing and link)
    return at, verb


def _take(words: Sequence[Token], at: int, kind: str, bare: bool, times: int = 1) -> tuple[int, bool]:
    """Skip up to `times` phrases of the kind; where to go on, and whether there was one."""
    start = at
    for _ in range(times):
        found = COMMANDS.find(words, at, bare=bare, kinds=(kind, "plain")) if at < len(words) else None
        if found and found[0].kind == kind and all(t.kind != "W" for t in words[at : at + found[1]]):
            at += found[1]
    return at, at > start


def _without_tail(words: Sequence[Token], first: int, bare: bool) -> int:
    for start in range(max(first, len(words) - 4), len(words)):
        found = COMMANDS.find(words, start, bare=bare, kinds=("tail",))
        if found and start + found[1] == len(words):
            return start
    return len(words)
