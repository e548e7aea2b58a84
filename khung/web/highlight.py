"""Which words of a caption or of the screen are lit: those that were asked for, by the forms that the search compares.

A word asked with marks lights the same word, however its tone is placed, or one that was written without any; a word asked
without marks lights every word of its letters; English words light their plural. What does not live here: reading a question.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from markupsafe import Markup, escape

from khung.text import english, fold, key, marked

_WORD = re.compile(r"\w[\w\u0300-\u036f]*")
_BARE = "~"  # before a fold that lights only what was written without marks


def terms_of(words: Iterable[str]) -> frozenset[str]:
    """The forms of the asked words that `lit` and `shows` look for."""
    return frozenset(form for word in words for form in _asked(word))


def shows(text: str, terms: frozenset[str]) -> bool:
    """Whether `lit` would light anything."""
    return any(_is_asked(match[0], terms) for match in _WORD.finditer(str(text)))


def lit(text: str, terms: frozenset[str]) -> Markup:
    """The text, escaped, with the asked words in <mark>."""
    text, out, at = str(text), [], 0
    for match in _WORD.finditer(text):
        if _is_asked(match[0], terms):
            out += [escape(text[at : match.start()]), Markup("<mark>"), escape(match[0]), Markup("</mark>")]
            at = match.end()
    return Markup("").join([*out, escape(text[at:])])


def _asked(word: str) -> tuple[str, ...]:
    return (key(word), _BARE + fold(word)) if marked(word) else (fold(word), english(word))


def _is_asked(word: str, terms: frozenset[str]) -> bool:
    return not terms.isdisjoint(_forms(word))


@lru_cache(maxsize=2**14)  # a page of captions says the same few words again and again
def _forms(word: str) -> frozenset[str]:
    """All that lights this word."""
    bare = fold(word)
    return frozenset((bare, key(word)) if marked(word) else (bare, key(word), english(word), _BARE + bare))
