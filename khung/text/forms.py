"""The forms of one word: `norm` (what was written), `key` (which Vietnamese word it is), `fold` (what is left without marks).

Two spellings of one word have one key: hoà = hòa, thuỷ = thủy, kỹ = kĩ. No segmentation, no Vietnamese stemming: the
language is isolating. Splitting text into words is `tokens.py`.
"""

import re
import unicodedata
from functools import lru_cache

# Tone marks with the digits of the VNI typing method: sắc 1, huyền 2, hỏi 3, ngã 4, nặng 5.
_TONES = {"\u0301": "1", "\u0300": "2", "\u0309": "3", "\u0303": "4", "\u0323": "5"}
_ETH = str.maketrans("ðÐ", "đĐ")  # Icelandic eth, often typed for the Vietnamese letter
_BAR = str.maketrans("đĐðÐ", "dDdD")  # the bar of đ is no combining mark
_INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
# After these onsets an open i and y are one sound with two spellings (kỹ = kĩ, quý = quí; but not tay/tai, thúy/thúi).
_OPEN_Y = re.compile(r"^(h|k|l|m|qu|s|t|v)y$")
_SIBILANT = re.compile("(?<=[sxz])es?$|(?<=[cs]h)es?$")
_IRREGULAR = {
    "men": "man",
    "women": "woman",
    "people": "person",
    "persons": "person",
    "children": "child",
    "feet": "foot",
}


def clean(s: str) -> str:
    """NFC without what cannot be seen: zero-width and direction marks, lone surrogates; control characters become spaces."""
    return unicodedata.normalize("NFC", _CONTROL.sub(" ", _INVISIBLE.sub("", s)))


@lru_cache(maxsize=4096)
def norm(s: str) -> str:
    """`clean`, ð → đ, lower case. Lowering can decompose (İ), hence NFC again. One question's text is asked for ten times."""
    return unicodedata.normalize("NFC", clean(s).translate(_ETH).lower())


@lru_cache(maxsize=65536)
def key(token: str) -> str:
    """The word that a token spells: its first tone mark as a digit at the end, y as i in open syllables.

    `hoà` = `hòa` → `hoa2`, `đường` → `đương2`, `kỹ` = `kĩ` → `ki4`; a word without a tone mark stays as it is.
    """
    letters = unicodedata.normalize("NFD", norm(token))
    at = next((i for i, c in enumerate(letters) if c in _TONES), None)
    tone = "" if at is None else _TONES[letters[at]]
    rest = letters if at is None else letters[:at] + letters[at + 1 :]
    return _OPEN_Y.sub(r"\1i", unicodedata.normalize("NFC", rest)) + tone


@lru_cache(maxsize=65536)
def fold(token: str) -> str:
    """The token without any mark, đ → d; y as i in open syllables as in `key`, so that one key never has two folds."""
    return _OPEN_Y.sub(r"\1i", strip_marks(norm(token)))


def strip_marks(s: str) -> str:
    """Every combining mark removed, đ → d and Đ → D; the case stays."""
    bare = "".join(c for c in unicodedata.normalize("NFD", s) if not unicodedata.combining(c))
    return bare.translate(_BAR)


@lru_cache(maxsize=65536)
def marked(token: str) -> bool:
    """Does the token carry a Vietnamese mark, of tone or of letter (ă â ê ô ơ ư đ)?"""
    letters = unicodedata.normalize("NFD", norm(token))
    return "đ" in letters or any(unicodedata.combining(c) for c in letters)


@lru_cache(maxsize=65536)
def english(token: str) -> str:
    """The English index form: folded and singular, after the S-stemmer (D. Harman, “How effective is suffixing?”, 1991).

    Words in -se, -xe, -che, -she lose the e as well, so that bus/buses and horse/horses both meet.
    """
    word = strip_marks(norm(token))
    word = _IRREGULAR.get(word, word)
    if len(word) < 4:
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if _SIBILANT.search(word):
        return _SIBILANT.sub("", word)
    return word if not word.endswith("s") or word.endswith(("us", "ss", "is")) else word[:-1]
