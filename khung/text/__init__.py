"""Vietnamese and English text, without any engine: normal forms, tokens, index fields, a language guess, ids from names.

Exactly one implementation of these feeds every text index and every query; `TEXT_VERSION` names it in manifests.
Nothing here knows shards, stores or queries.
"""

from khung.text.fields import FIELDS, TEXT_VERSION, fields, ngrams, shingles
from khung.text.forms import clean, english, fold, key, marked, norm
from khung.text.tokens import compact, tokens

__all__ = [
    "FIELDS",
    "TEXT_VERSION",
    "clean",
    "compact",
    "english",
    "fields",
    "fold",
    "key",
    "marked",
    "ngrams",
    "norm",
    "shingles",
    "tokens",
]
