"""Text into words. A Vietnamese word here is a syllable; compounds are found again by shingles (`fields.py`)."""

import re

from khung.text.forms import norm

# Letters, digits and the marks that have no precomposed letter; never "_", which joins shingles.
_WORD = re.compile(r"(?:[^\W_][\u0300-\u036f]*)+")
# A plate, a score, a phone number: groups with a digit, joined by one separator.
_JOINED = re.compile(r"[^\W_]+(?:[-.:/·][^\W_]+)+")
MAX_TOKEN = 64


def tokens(s: str) -> list[str]:
    """The words of `norm(s)`, each at most 64 characters, in order. Punctuation and emoji are no words."""
    return [word[:MAX_TOKEN] for word in _WORD.findall(norm(s))]


def compact(s: str) -> list[str]:
    """Groups with a digit, written together: `30B-123.45` → `30b12345`. What `tokens` splits is searchable whole, too."""
    joined = (_strip(group) for group in _JOINED.findall(norm(s)))
    return [word[:MAX_TOKEN] for word in joined if any(c.isdigit() for c in word)]


def _strip(group: str) -> str:
    return "".join(c for c in group if c.isalnum())
