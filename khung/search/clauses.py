"""From an event's words to weighted text clauses: the query policy for Vietnamese marks and for two languages.

Boosts are those that were measured (docs/language.md): a question without marks never touches the `key` fields, where its
bare syllables are rare and would win by their weight alone; a marked word asks its key first and a little its fold.
Both languages are always asked; the guess only changes their weight.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import log

import numpy as np

from khung.records import FrameRecord, SealedRecord
from khung.stores import TextClause, TextIndex
from khung.text import compact, english, fold, key, marked, ngrams, shingles, tokens
from khung.text.fields import WORD_FIELDS, english_words, screen_words, vietnamese_words

_OTHER_LANGUAGE = 0.3
_NGRAM = 0.25
_FEW = 8  # records whose texts are read sooner than an index says what they hold; fifty take four times as long
_PARTS = ("_sh", "_ngram")  # how the fields end that hold no whole words
_SAY_NOTHING = "a an and are as at be by for from in is it of on or that the there to was were with"
ENGLISH_FUNCTION_WORDS = frozenset(_SAY_NOTHING.split())
"""They say nothing of a picture. Vietnamese has no such list: dropping its words was measured to gain nothing."""


@dataclass(frozen=True)
class Ask:
    """What to ask of a text index: groups of clauses that say the same thing (one word in its forms)."""

    groups: tuple[tuple[TextClause, ...], ...]
    words: Mapping[str, str]  # term → the word as it was typed

    @property
    def clauses(self) -> list[TextClause]:
        return [clause for group in self.groups for clause in group]

    @cached_property
    def _told(self) -> list[TextClause]:
        """The clauses that are words: parts of words and pairs tell nobody anything."""
        return [c for c in self.clauses if c.field in WORD_FIELDS and c.term in self.words]

    @cached_property
    def _texts(self) -> list[Callable[[FrameRecord], Mapping[str, frozenset[str]]]]:
        """Which texts of a record hold the fields that were asked."""
        asked = {clause.field for clause in self._told}
        return [read for field, read in _TEXTS.items() if field in asked]

    def expected(self, index: TextIndex) -> float:
        """The score of an average document with every word once: Σ boost · idf, of each group its best language.

        A word that no document has counts, too: nothing here can say what was asked.
        """
        counts, documents = iter(index.document_counts(self.clauses)), len(index)
        return sum([_expected(group, counts, documents) for group in self.groups])

    def why(self, index: TextIndex, ids: np.ndarray, records: Sequence[SealedRecord]) -> list[str]:
        """By frame the typed words that its texts hold, in order: as the index knows it, or else read from the records."""
        held = index.holding(self._told, ids) if len(ids) > _FEW else None
        if held is None:
            return [self._named(map(self._reading(sealed.record), self._told)) for sealed in records]
        rows = list(zip(*(mask.tolist() for mask in held), strict=True))
        named = {row: self._named(row) for row in set(rows)}  # many frames hold the same of the words
        return [named[row] for row in rows] or [""] * len(ids)

    def _named(self, held: Iterable[bool]) -> str:
        return ", ".join(dict.fromkeys(self.words[c.term] for c, there in zip(self._told, held, strict=True) if there))

    def _reading(self, record: FrameRecord) -> Callable[[TextClause], bool]:
        there: dict[str, frozenset[str]] = {}
        for read in self._texts:
            there.update(read(record))
        return lambda clause: clause.term in there[clause.field]


@lru_cache(maxsize=16_384)
def _held(read: Callable[[str], dict[str, list[str]]], text: str) -> Mapping[str, frozenset[str]]:
    """Field → words. Searches come back to the same frames."""
    return {name: frozenset(of) for name, of in read(text).items()}


_TEXTS: Mapping[str, Callable[[FrameRecord], Mapping[str, frozenset[str]]]] = {
    "vi_fold": lambda record: _held(vietnamese_words, record.description.captions.get("vi", "")),
    "en": lambda record: _held(english_words, record.description.captions.get("en", "")),
    "ocr_fold": lambda record: _held(screen_words, " ".join([line.text for line in record.screen_text])),
}
"""By a field that is always asked with its sisters, the words of a record's text."""


def caption_ask(text: str, language: str) -> Ask:
    """The clauses of a text over the captions of both languages."""
    words = tokens(text)
    if language == "en":
        words = [w for w in words if w not in ENGLISH_FUNCTION_WORDS] or words
    any_marked = any(map(marked, words))
    vi, en = (_OTHER_LANGUAGE, 1.0) if language == "en" else (1.0, _OTHER_LANGUAGE if any_marked else 1.0)
    groups = [(*_vietnamese(w, any_marked, vi), TextClause("en", _english(w), en)) for w in words]
    typed = {term: w for w in words for term in (key(w), fold(w), _english(w))}
    return Ask((*groups, *_compounds(words, any_marked, vi)), typed)


def _english(word: str) -> str:
    """A Vietnamese word stands in English captions without its marks (Huế, Hue)."""
    return english(fold(word) if marked(word) else word)


def _vietnamese(word: str, any_marked: bool, weight: float) -> list[TextClause]:
    if not any_marked:
        return [TextClause("vi_fold", fold(word), weight)]
    exact, folded = (2.0, 0.3) if marked(word) else (0.6, 1.0)
    return [TextClause("vi_key", key(word), exact * weight), TextClause("vi_fold", fold(word), folded * weight)]


def _compounds(words: Sequence[str], any_marked: bool, weight: float) -> list[tuple[TextClause, ...]]:
    folded = shingles([fold(w) for w in words])
    if not any_marked:
        return [(TextClause("vi_fold_sh", pair, 0.5 * weight),) for pair in folded]
    exact = shingles([key(w) for w in words])
    return [
        (TextClause("vi_key_sh", a, weight), TextClause("vi_fold_sh", b, 0.15 * weight))
        for a, b in zip(exact, folded, strict=True)
    ]


def screen_ask(texts: Sequence[str], *, misread: bool = True) -> Ask:
    """The clauses of texts over what stands on the screen: exact words, folded words, and, against misreading, trigrams."""
    words = [w for text in texts for w in tokens(text)]
    whole = [w for text in texts for w in compact(text)]
    groups = [(TextClause("ocr_key", key(w), 1.0), TextClause("ocr_fold", fold(w), 0.6)) for w in words]
    groups += [(TextClause("ocr_fold", w, 1.6),) for w in whole]
    long = [w for w in (*map(fold, words), *whole) if misread and len(w) > 3]
    grams = dict.fromkeys(gram for w in long for gram in ngrams(w))
    groups += [(TextClause("ocr_ngram", gram, _NGRAM),) for gram in grams]
    typed = {term: w for w in words for term in (key(w), fold(w))} | {w: w for w in whole}
    return Ask(tuple(groups), typed)


def normalised(raw: np.ndarray, expected: float) -> np.ndarray:
    """BM25 → [0, 1): ¾ when an average document has every word, and never flat, so that shorter and fuller ones still differ:
    1 − 4^−x, x = raw / expected."""
    return (1 - np.exp2(-2 * raw / expected)).astype(np.float32)


def _expected(group: Sequence[TextClause], counts: Iterator[int], documents: int) -> float:
    """What one group gives, in the better of the languages that know it: of `counts` it takes one a clause. Shingles and trigrams that
    stand nowhere are not missed; a word is."""
    english = vietnamese = 0.0
    knows_english = knows_vietnamese = False
    for clause in group:
        count = next(counts)
        if not count and clause.field.endswith(_PARTS):
            continue
        value = clause.boost * idf(documents, count)
        if clause.field == "en":
            english, knows_english = english + value, knows_english or count > 0
        else:
            vietnamese, knows_vietnamese = vietnamese + value, knows_vietnamese or count > 0
    if knows_english == knows_vietnamese:
        return max(english, vietnamese)
    return english if knows_english else vietnamese


def idf(documents: int, with_term: int) -> float:
    """BM25's inverse document frequency, never negative: ln(1 + (N − n + ½) / (n + ½))."""
    return log(1 + (documents - with_term + 0.5) / (with_term + 0.5))
