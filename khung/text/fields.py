"""The pre-tokenised fields of a frame: what both text engines index, with a whitespace analyser and nothing else.

| field | holds |
|---|---|
| `vi_key`, `vi_fold` | words of the Vietnamese caption by key and by fold |
| `vi_key_sh`, `vi_fold_sh` | their bigrams `a_b`, which stand for compounds |
| `en` | words of the English caption, folded, singular |
| `ocr_key`, `ocr_fold` | words of the on-screen text; plates and numbers also written together |
| `ocr_ngram` | character trigrams of `ocr_fold`, for text that was misread |
"""

from collections.abc import Sequence
from itertools import pairwise

from khung.text.forms import english, fold, key
from khung.text.tokens import compact, tokens

TEXT_VERSION = "2"
"""Raise it with any change of a form, a token or a field: sealed postings of another version are not searched."""

FIELDS = ("vi_key", "vi_fold", "vi_key_sh", "vi_fold_sh", "en", "ocr_key", "ocr_fold", "ocr_ngram")

WORD_FIELDS = ("vi_key", "vi_fold", "en", "ocr_key", "ocr_fold")
"""Those that hold one word a token of the text, in its order: the place of a word here is the place of its token there."""

FACETS = "facets"
"""Beside them: the values that can be counted, one `name=value` a line. No clause asks for them."""


def fields(vi: str, en: str, screen_text: str) -> dict[str, str]:
    """Field → words joined by a space, for one frame."""
    found = vietnamese_words(vi) | english_words(en) | screen_words(screen_text)
    found["vi_key_sh"], found["vi_fold_sh"] = shingles(found["vi_key"]), shingles(found["vi_fold"])
    found["ocr_ngram"] = [gram for word in found["ocr_fold"] for gram in ngrams(word)]
    return {name: " ".join(found[name]) for name in FIELDS}


def vietnamese_words(caption: str) -> dict[str, list[str]]:
    """Field → words of the Vietnamese caption; with the next two the `WORD_FIELDS`."""
    spoken = tokens(caption)
    return {"vi_key": [key(t) for t in spoken], "vi_fold": [fold(t) for t in spoken]}


def english_words(caption: str) -> dict[str, list[str]]:
    return {"en": [english(t) for t in tokens(caption)]}


def screen_words(text: str) -> dict[str, list[str]]:
    shown = tokens(text)
    return {"ocr_key": [key(t) for t in shown], "ocr_fold": [fold(t) for t in shown] + compact(text)}


def shingles(words: Sequence[str]) -> list[str]:
    """Neighbouring words joined: `a b c` → `a_b b_c`."""
    return [f"{a}_{b}" for a, b in pairwise(words)]


def ngrams(word: str, n: int = 3) -> list[str]:
    """The character n-grams of a word; a shorter word is its own gram."""
    return [word[i : i + n] for i in range(len(word) - n + 1)] or [word]
