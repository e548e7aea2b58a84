"""What need not be worked out twice: vectors of questions, one worker for many equal questions.

Keys of whole answers are the service's, which keeps them.
"""

import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

import numpy as np

from khung.text import clean
from khung.vision import Embedder, Image

T = TypeVar("T")
RANKING_VERSION = "4"
"""Raise it when the same question over the same snapshot may be answered otherwise."""


class CachedEmbedder:
    """An Embedder that remembers the vectors of texts, by fingerprint and normal form; pictures are not kept.

    The fingerprint covers the instruction that a model puts before a question (its code version). Vectors outlive snapshots
    and an encoder's server: they depend on the model alone. Thread-safe.
    """

    def __init__(self, embedder: Embedder, entries: int = 4096) -> None:
        from cachetools import LRUCache

        self._embedder, self._lock = embedder, threading.Lock()
        self._vectors: LRUCache[tuple[str, str], np.ndarray] = LRUCache(entries)

    @property
    def dim(self) -> int:
        return self._embedder.dim

    @property
    def fingerprint(self) -> str:
        return self._embedder.fingerprint

    def embed_images(self, images: Sequence[Image]) -> np.ndarray:
        return self._embedder.embed_images(images)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        keys = [(self.fingerprint, " ".join(clean(text).split())) for text in texts]
        with self._lock:
            known = {k: self._vectors[k] for k in keys if k in self._vectors}
        missing = [k for k in dict.fromkeys(keys) if k not in known]
        if missing:
            made = self._embedder.embed_texts([text for _, text in missing])
            known |= dict(zip(missing, made, strict=True))
            with self._lock:
                self._vectors.update((k, v) for k, v in zip(missing, made, strict=True) if np.isfinite(v).all())
        return np.stack([known[k] for k in keys]) if keys else np.zeros((0, self.dim), np.float32)


class SingleFlight(Generic[T]):
    """Equal work at the same time is done once; all who asked get the one result or the one error."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flying: dict[Hashable, Future[T]] = {}

    def do(self, key: Hashable, work: Callable[[], T]) -> T:
        """The result of `work`, its own or that of a call with the same key that is already under way."""
        with self._lock:
            future = self._flying.get(key)
            leader = future is None
            if leader:
                future = self._flying[key] = Future()
        return self._fly(key, work, future) if leader else future.result()

    def _fly(self, key: Hashable, work: Callable[[], T], future: "Future[T]") -> T:
        try:
            result = work()
        except BaseException as error:
            self._land(key)
            future.set_exception(error)
            raise
        self._land(key)
        future.set_result(result)
        return result

    def _land(self, key: Hashable) -> None:
        with self._lock:
            del self._flying[key]
