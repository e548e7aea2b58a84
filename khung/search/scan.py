"""A question's text cut into typed tokens with their spans. What the tokens mean together is `query.py`."""

import re
from dataclasses import dataclass

from khung.text import fold, key, marked

_FIELDS = "video|obj|object|color|time|place|weather|emotion|scene|action|ocr|text|after|before|at|like"
_TOKEN = re.compile(
    r"""
    (?P<q>"[^"]*"|“[^”]*”|«[^»]*»|(?<!\w)['‘][^'’]{2,}['’](?!\w))
  | (?P<f>(?<!\w)-?(?:FIELDS):(?:"[^"]*"|“[^”]*”|[^\s"“,;]+))
  | (?P<k>\d{1,3}:\d{1,2}(?::\d{1,2})?(?:\.\d{1,3})?(?![\w:]))
  | (?P<d>\d{1,6}(?:h|min|m|ph|p|s)(?:\d{1,6}(?:min|m|ph|p|s)?){0,2}(?!\w))
  | (?P<N>\d{1,6}(?:[.,]\d{1,3})?(?:st|nd|rd|th)?(?!\w))
  | (?P<C>->|→|=>|(?<!\w)(?:E|sự\ kiện\ |su\ kien\ |event\ )\d{1,2}\ ?:|\(\d\))
  | (?P<dash>[-–—](?=\s*\d))
  | (?P<G>(?<!\S)-(?=[^\W\d_]))
  | (?P<comma>[,;.!?])
  | (?P<word>\\?(?:[^\W_][\u0300-\u036f]*)+)
    """.replace("FIELDS", _FIELDS),
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(slots=True)
class Token:
    """A word or a symbol. `kind` is one letter, `w` for a plain word; `value` what a number, a clock or a phrase stands for."""

    start: int
    end: int
    text: str
    kind: str = "w"
    value: object = None
    key: str = ""
    fold: str = ""
    marked: bool = False

    @property
    def is_word(self) -> bool:
        return bool(self.fold)


def scan(text: str) -> list[Token]:
    """The tokens of a clean text, in order. Kinds: q quote, f field, k clock, d duration, N number, C arrow or the number of an event (“E1:”, “(2)”), `-` dash
    before a number, G minus before a word, `,` punctuation, w word, W escaped word."""
    return [_token(match) for match in _TOKEN.finditer(text)]


def _token(match: re.Match[str]) -> Token:
    kind, raw = match.lastgroup or "word", match[0]
    start, end = match.span()
    if kind == "word":
        word = raw.removeprefix("\\")
        plain = "W" if raw is not word and raw != word else "w"
        return Token(start, end, word, plain, None, key(word), fold(word), marked(word))
    if kind == "N":
        number = re.sub("(st|nd|rd|th)$", "", raw.lower()).replace(",", ".")
        return Token(start, end, raw, "N", float(number), raw, raw)
    if kind in ("k", "d"):
        return Token(start, end, raw, kind, None, raw, raw)
    return Token(start, end, raw, {"dash": "-", "comma": ","}.get(kind, kind))
