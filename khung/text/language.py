"""Vietnamese or English? A guess for weights and for the interface; no search path is ever closed by it.

A Vietnamese mark on a possible Vietnamese syllable decides; else the syllables are counted: Vietnamese words without
marks obey its phonotactics, English ones rarely do, and English function words speak for English.
"""

import re
from typing import Literal

from khung.text.forms import marked, strip_marks
from khung.text.tokens import tokens

Language = Literal["vi", "en"]

_ONSET = "ngh|ng|nh|ch|gh|gi|kh|ph|qu|th|tr|[bcdghklmnprstvx]"
_RIME = (
    "a(?:ch|ng|nh|[cimnoptuy])?|e(?:ch|ng|nh|[cmnoptu])?|i(?:ch|nh|[mnptu]|a|e(?:ng|[cmnptu]))?|"
    "o(?:ng|[cimnpt]|o(?:ng|c)|a(?:ch|ng|nh|[cimnopty])?|e(?:[mnot])?)?|"
    "u(?:ng|[cimnptu]|a(?:ng|[nty])?|e(?:ch|nh)?|o(?:ng|[cimnptu])?|y(?:a|ch|nh|e[nt]|[nptu])?)?|y(?:e[mntu])?"
)
_SYLLABLE = re.compile(f"(?:{_ONSET})?(?:{_RIME})")
# No frequent unmarked Vietnamese syllable stands here ("an", "to", "the", "do", "me", "can" are legal in both).
_ENGLISH = """a all and are as at be behind blue boat by cat dog eating for from front girl has have he her his holding in into
is it its least looking men near next of on or over people person red she show some than that their them then there they
this those under up wearing was were while who with without woman women"""
_EITHER = "an ban bat can dam do gun hand hat him long man me no pan pen sing so song ten tent the thin to"
_WEIGHTS = dict.fromkeys(_ENGLISH.split(), 1.5) | dict.fromkeys(_EITHER.split(), 0.0)


def syllable(token: str) -> bool:
    """Could this be a Vietnamese syllable, marks aside?"""
    return _SYLLABLE.fullmatch(strip_marks(token)) is not None


def language(text: str) -> Language:
    """`vi` or `en`; an empty text is `vi`."""
    words = [t for t in tokens(text) if not t.isdigit()]
    if any(marked(t) and syllable(t) for t in words):
        return "vi"
    return "vi" if sum(_evidence(t) for t in words) <= 0 else "en"


def _evidence(token: str) -> float:
    """Positive speaks for English."""
    return _WEIGHTS.get(token, -1.0 if syllable(token) else 1.5)
