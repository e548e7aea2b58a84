"""When the embedder fails on a frame, another model's *own* space takes it, and it waits to be embedded again.

The two spaces never mix: each part of the result goes under its embedder's fingerprint. The frames in the second are the queue of
those to embed again; who keeps it is the caller. A lost device is not a failure of a frame.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from khung.errors import ModelError, ModelFileMissing
from khung.vision import Embedder, Image
from khung.vision.each import AT_ONCE, each_vector
from khung.vision.towers import Encoded

log = logging.getLogger(__name__)


@dataclass(slots=True)
class SpaceVectors:
    """Vectors of one space and the positions of their images, ascending."""

    fingerprint: str
    positions: list[int] = field(default_factory=list)
    vectors: list[np.ndarray] = field(default_factory=list)

    def add(self, position: int, vector: np.ndarray) -> None:
        self.positions.append(position)
        self.vectors.append(vector)


@dataclass(frozen=True, slots=True)
class Embedded:
    """`second` is None without a fallback. `reasons`: position → why the first embedder failed. `lost`: positions that no
    embedder could take; `cure`: what would help these, if that is known."""

    first: SpaceVectors
    second: SpaceVectors | None
    reasons: dict[int, str]
    lost: tuple[int, ...]
    cure: str = ""


class Deferred:
    """An Embedder that is loaded when it is first asked: most runs never need their fallback, and its memory neither."""

    def __init__(self, fingerprint: str, load: Callable[[], Embedder]) -> None:
        self.fingerprint, self._load = fingerprint, load

    @cached_property
    def _embedder(self) -> Embedder:
        return self._load()

    @property
    def dim(self) -> int:
        return self._embedder.dim

    def embed_images(self, images: Sequence[Image]) -> np.ndarray:
        return self._embedder.embed_images(images)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        return self._embedder.embed_texts(texts)


def embed_or_fall_back(
    images: Iterable[Image | Encoded],
    embedder: Embedder,
    fallback: Embedder | None,
    after_each: Callable[[SpaceVectors], None] = lambda first: None,
) -> Embedded:
    """Embed all images; those that the embedder fails on go to `fallback`. No more are looked at when some are lost: what is wanted
    is all of them. `after_each` is shown the embedder's vectors so far, after each one.

    Raises DeviceLost (the process must end), ModelFileMissing of the embedder, and its first failure when no image could be
    embedded at all.
    """
    work = _Work(SpaceVectors(embedder.fingerprint), SpaceVectors(fallback.fingerprint) if fallback else None, fallback)
    position = -1
    for position, (image, found) in enumerate(each_vector(images, embedder)):
        if isinstance(found, ModelError):
            work.failed(position, image, found)
        else:
            work.first.add(position, found)
            after_each(work.first)
        if work.lost:
            break
    work.fall_back()
    if work.failures:
        log.warning("%d frames fall back: %s", len(work.failures), next(iter(work.failures.values())).message)
    if work.lost and len(work.lost) == position + 1 and not work.cure:
        raise work.failures[0]
    reasons = {at: error.message for at, error in work.failures.items()}
    return Embedded(work.first, work.second, reasons, tuple(work.lost), work.cure)


@dataclass(slots=True)
class _Work:
    """What one call has found so far. A fallback gets the failed images some at a time: they are kept no longer than that."""

    first: SpaceVectors
    second: SpaceVectors | None
    fallback: Embedder | None
    failures: dict[int, ModelError] = field(default_factory=dict)
    waiting: dict[int, Image | Encoded] = field(default_factory=dict)
    lost: list[int] = field(default_factory=list)
    cure: str = ""

    def failed(self, position: int, image: Image | Encoded, error: ModelError) -> None:
        self.failures[position] = error
        self.waiting[position] = image
        if self.fallback is None or len(self.waiting) >= AT_ONCE:
            self.fall_back()

    def fall_back(self) -> None:
        positions, images = list(self.waiting), list(self.waiting.values())
        self.waiting.clear()
        if self.fallback is None or self.second is None:
            self.lost += positions
            return
        try:
            for position, (_, found) in zip(positions, each_vector(images, self.fallback), strict=True):
                if isinstance(found, ModelError):
                    self.lost.append(position)
                else:
                    self.second.add(position, found)
        except ModelFileMissing as error:  # the run need not stop for it: only these frames do
            self.lost += positions
            self.cure = f"{error.message} {error.cure}"


def embed_each(images: Iterable[Image | Encoded], embedder: Embedder) -> tuple[SpaceVectors, dict[int, ModelError]]:
    """The vectors of those that the embedder can take, and the failures by position. Raises DeviceLost, ModelFileMissing."""
    found, failures = SpaceVectors(embedder.fingerprint), {}
    for position, (_, one) in enumerate(each_vector(images, embedder)):
        if isinstance(one, ModelError):
            failures[position] = one
        else:
            found.add(position, one)
    return found, failures
