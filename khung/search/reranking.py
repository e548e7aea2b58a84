"""A second look at the best hits: their captions and on-screen text against the question, by a text encoder.

Off by default (`KHUNG_SEARCH_RERANKER=captions`): what it gains depends on the captions, and it costs a text encoder's time a
search. The interface is `Reranker` in request.py. Which model encodes is the caller's: anything with `queries` and `passages`.
"""

import hashlib
import threading
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from cachetools import LRUCache

from khung.errors import ModelError
from khung.records import FrameRecord
from khung.search.parsed import ParsedQuery

DEPTH = 30
SHARE = 0.35
"""Of the new score that is the second look's; the rest is the first look's."""


class TextEncoder(Protocol):
    """Texts to unit vectors `(n, dim)` in one space for Vietnamese and English."""

    def queries(self, texts: Sequence[str]) -> np.ndarray: ...
    def passages(self, texts: Sequence[str]) -> np.ndarray: ...


class CaptionReranker:
    """Cosine of the question and the better of a frame's captions, spread over the hits at hand. Thread-safe."""

    def __init__(
        self, encoder: TextEncoder, *, depth: int = DEPTH, share: float = SHARE, remembered: int = 20_000
    ) -> None:
        self.depth, self._encoder, self._share = depth, encoder, share
        self._lock = threading.Lock()
        self._known: LRUCache[bytes, np.ndarray] = LRUCache(remembered)

    def rerank(self, parsed: ParsedQuery, records: Sequence[FrameRecord], scores: Sequence[float]) -> Sequence[float]:
        """New scores in [0, 1] in the order of `records`. A question without words, and hits without captions, keep theirs."""
        question = parsed.events[0].text if parsed.events else ""
        texts = [_texts(record) for record in records]
        if not question or not any(texts):
            return list(scores)
        asked = self._encoder.queries([question])[0]
        vectors = self._passages(list(dict.fromkeys(text for of_frame in texts for text in of_frame)))
        if not np.isfinite(asked).all() or not all(np.isfinite(v).all() for v in vectors.values()):
            raise ModelError("The text encoder's vectors are not finite.")
        near = np.array([max((float(vectors[t] @ asked) for t in of_frame), default=np.nan) for of_frame in texts])
        return self._mixed(np.asarray(scores, float), near).tolist()

    def _mixed(self, scores: np.ndarray, near: np.ndarray) -> np.ndarray:
        """E5's cosines of strangers are high and lie close together: what tells is where a hit lies among the others."""
        low, high = np.nanmin(near), np.nanmax(near)
        told = (near - low) / (high - low) if high > low else np.zeros(len(near))
        top = float(scores.max(initial=0.0))
        return np.where(np.isnan(near), scores, (1 - self._share) * scores + self._share * top * np.nan_to_num(told))

    def _passages(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        keys = {text: hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts}
        with self._lock:
            found = {text: self._known[key] for text, key in keys.items() if key in self._known}
        if missing := [text for text in texts if text not in found]:
            made = dict(zip(missing, self._encoder.passages(missing), strict=True))
            with self._lock:
                self._known.update((keys[text], vector) for text, vector in made.items())
            found |= made
        return found


def _texts(record: FrameRecord) -> list[str]:
    captions = [caption for caption in record.description.captions.values() if caption]
    shown = " ".join(line.text for line in record.screen_text)
    return captions + ([shown] if shown else [])
