"""When the embedder fails on a frame, another model's *own* space takes it, and it waits to be embedded again.

The two spaces never mix: each part of the result goes under its embedder's fingerprint. The frames in the second are the queue of
those to embed again; who keeps it is the caller. A lost device is not a failure of a frame.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from khung.errors import DeviceLost, ModelError, ModelFileMissing
from khung.vision import Embedder, Image

log = logging.getLogger(__name__)


@dataclass(slots=True)
class SpaceVectors:
    """Vectors of one space and the positions of their images, ascending."""

    fingerprint: str
    positions: list[int] = field(default_factory=list)
    vectors: list[np.ndarray] = field(default_factory=list)

    def add(self, positions: Sequence[int], vectors: np.ndarray) -> None:
        self.positions += positions
        self.vectors += list(vectors)


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


def embed_or_fall_back(images: Sequence[Image], embedder: Embedder, fallback: Embedder | None) -> Embedded:
    """Embed all images; a batch that fails is halved until the frames at fault stand alone, and these go to `fallback`.

    Raises DeviceLost (the process must end), ModelFileMissing of the embedder, and its first failure when no image could be
    embedded at all.
    """
    first, failures = embed_each(images, embedder)
    if failures:
        log.warning("%d of %d frames fall back: %s", len(failures), len(images), next(iter(failures.values())).message)
    second, lost, cure = None, list(failures), ""
    if fallback:
        second = SpaceVectors(fallback.fingerprint)
        try:
            lost = list(_embed(images, list(failures), fallback, second))
        except ModelFileMissing as error:  # the run need not stop for it: only these frames do
            cure = f"{error.message} {error.cure}"
    if images and len(lost) == len(images) and not cure:
        raise failures[0]
    return Embedded(first, second, {at: error.message for at, error in failures.items()}, tuple(lost), cure)


def embed_each(images: Sequence[Image], embedder: Embedder) -> tuple[SpaceVectors, dict[int, ModelError]]:
    """The vectors of those that the embedder can take, and the failures by position. Raises DeviceLost, ModelFileMissing."""
    found = SpaceVectors(embedder.fingerprint)
    return found, _embed(images, list(range(len(images))), embedder, found)


def _embed(
    images: Sequence[Image], positions: list[int], embedder: Embedder, into: SpaceVectors
) -> dict[int, ModelError]:
    """Fill `into`, in order; the failures by position."""
    if not positions:
        return {}
    try:
        into.add(positions, embedder.embed_images([images[at] for at in positions]))
        return {}
    except (DeviceLost, ModelFileMissing):
        raise
    except (ModelError, RuntimeError, ValueError) as error:  # libraries fail in their own words
        if len(positions) == 1:
            return {positions[0]: error if isinstance(error, ModelError) else ModelError(_first_line(error))}
    middle = len(positions) // 2  # outside the except block: a traceback would hold the failed batch in memory
    return _embed(images, positions[:middle], embedder, into) | _embed(images, positions[middle:], embedder, into)


def _first_line(error: Exception) -> str:
    return (
        f"{type(error).__name__}: {str(error).strip().splitlines()[0]}" if str(error).strip() else type(error).__name__
    )
