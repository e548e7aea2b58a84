"""What need not be worked out twice: keys of answers, vectors of questions, one worker for many equal questions.

Keys name everything that an answer depends on, so nothing ever has to be invalidated. Where answers are kept is a
QueryCache (khung.stores) and the service's to choose.
"""

import hashlib
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Generic, TypeVar

import numpy as np

from khung.search.request import SearchRequest
from khung.text import TEXT_VERSION, clean
from khung.vision import Embedder, Image

T = TypeVar("T")
RANKING_VERSION = "4"
"""Raise it when the same question over the same snapshot may be answered otherwise."""
_PLAIN = (int, bool, float, type(None))


def answer_key(request: SearchRequest, *, snapshot_id: str, fingerprint: str, ranking: str = "") -> str:
    """Hex digest of the question, the snapshot, the query encoder, the engine's `ranking` and the versions of text and ranking.

    Questions that differ only in Unicode form, in what cannot be seen or in spaces share a key.
    """
    parts = (snapshot_id, fingerprint, ranking, TEXT_VERSION, RANKING_VERSION, _plain(request))
    return hashlib.blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=24).hexdigest()


def _plain(value: object) -> object:
    """Values as nested tuples with a stable repr; text in its normal form, pixels by their hash."""
    kind = type(value)
    if kind is str:
        return " ".join(clean(value).split()) if value else value
    if kind is tuple:
        return tuple(map(_plain, value)) if value else value
    if kind in _PLAIN:
        return value
    if is_dataclass(value):
        return tuple((name, _plain(getattr(value, name))) for name in _names(kind))
    if isinstance(value, np.ndarray):
        return (value.shape, str(value.dtype), hashlib.sha256(np.ascontiguousarray(value).data).hexdigest())
    if isinstance(value, Mapping):
        return tuple(sorted((name, _plain(one)) for name, one in value.items()))
    raise TypeError(f"{kind.__name__} has no place in a key.")


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


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
