"""“Did you mean”: the marks of a Vietnamese question restored from the bigrams of the library's own captions.

A suggestion, never a ranking signal: it changes nothing that was asked. Words that the library does not know stay as typed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from math import log

import numpy as np

from khung.search.frames import Frames
from khung.stores import RecordStore
from khung.text import fold, key, marked, tokens
from khung.text.language import language

_SAMPLE = 20_000
_BACK_OFF = (
    0.4  # of a bigram that was never seen, times the word's own share (T. Brants et al., “stupid backoff”, 2007)
)
_START = "^"
_LONGEST = 25  # words; each may have ten readings, and every pair of neighbours is weighed


class Suggester:
    """Counts over captions; immutable once made."""

    def __init__(self, captions: Iterable[str]) -> None:
        self._words: Counter[str] = Counter()
        self._pairs: Counter[tuple[str, str]] = Counter()
        spellings: dict[str, Counter[str]] = defaultdict(Counter)
        for caption in captions:
            words = tokens(caption)
            keys = [key(w) for w in words]
            self._words.update(keys)
            self._pairs.update(pairwise([_START, *keys]))
            for k, w in zip(keys, words, strict=True):
                spellings[k][w] += 1
        self._total = sum(self._words.values())
        self._spelling = {k: seen.most_common(1)[0][0] for k, seen in spellings.items()}
        self._of_fold: dict[str, list[str]] = defaultdict(list)
        for k, word in self._spelling.items():
            self._of_fold[fold(word)].append(k)

    def suggest(self, text: str) -> str:
        """The text with the marks it most likely lacks; "" when there is nothing to suggest, the text reads as English or is long."""
        words = tokens(text)
        if not 0 < len(words) <= _LONGEST or language(text) == "en" or all(map(marked, words)):
            return ""
        best = [self._spelling.get(k, w) for k, w in zip(self._likeliest(words), words, strict=True)]
        return " ".join(best) if [key(w) for w in best] != [key(w) for w in words] else ""

    def _likeliest(self, words: Sequence[str]) -> list[str]:
        """Viterbi over the readings of each word."""
        paths: dict[str, tuple[float, list[str]]] = {_START: (0.0, [])}
        for word in words:
            paths = {
                reading: max(
                    (score + self._cost(last, reading), [*path, reading]) for last, (score, path) in paths.items()
                )
                for reading in self._readings(word)
            }
        return max(paths.values())[1]

    def _readings(self, word: str) -> list[str]:
        """A marked word is what it is; a bare one may be any word of the library with its letters, or itself."""
        known = [] if marked(word) else self._of_fold.get(fold(word), [])
        return known or [key(word)]

    def _cost(self, last: str, word: str) -> float:
        pair = self._pairs.get((last, word), 0)
        before = self._words.get(last, 0) if last != _START else self._total
        if pair:
            return log(pair / max(before, 1))
        return log(_BACK_OFF * (self._words.get(word, 0) + 0.01) / (self._total + 1))


def captions_of(records: RecordStore, frames: Frames) -> Iterator[str]:
    """Vietnamese captions of at most 20 000 frames, spread over the library."""
    if not len(frames):
        return
    for position in np.unique(np.linspace(0, len(frames) - 1, min(len(frames), _SAMPLE)).astype(int)):
        yield records.frame(frames.frame_id(int(position))).description.captions.get("vi", "")
