"""When the embedder fails on a frame, another model's *own* space takes it, and it waits to be embedded again.

The two spaces never mix: each part of the result goes under its embedder's fingerprint. The queue of frames to embed again needs no
store: it is the keyframes that have no vector of the first fingerprint yet (`waiting`). A lost device is not a failure of a frame.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from khung.errors import DeviceLost, ModelError, ModelFileMissing
from khung.vision import Embedder, Image


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
    embedder could take."""

    first: SpaceVectors
    second: SpaceVectors | None
    reasons: dict[int, str]
    lost: tuple[int, ...]


def embed_or_fall_back(images: Sequence[Image], embedder: Embedder, fallback: Embedder | None) -> Embedded:
    """Embed all images; a batch that fails is halved until the frames at fault stand alone, and these go to `fallback`.

    Raises DeviceLost (the process must end), ModelFileMissing, and the first failure when no image could be embedded at all.
    """
    first = SpaceVectors(embedder.fingerprint)
    failures = _embed(images, list(range(len(images))), embedder, first)
    second, lost = None, list(failures)
    if fallback:
        second = SpaceVectors(fallback.fingerprint)
        lost = list(_embed(images, list(failures), fallback, second))
    if images and len(lost) == len(images):
        raise failures[0]
    return Embedded(first, second, {at: error.message for at, error in failures.items()}, tuple(lost))


def waiting(frame_indices: Iterable[int], embedded: Iterable[int]) -> list[int]:
    """Frames that have no vector of the first space yet."""
    return sorted(set(frame_indices) - set(map(int, embedded)))


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
    except ModelError as error:
        if len(positions) == 1:
            return {positions[0]: error}
    middle = len(positions) // 2  # outside the except block: a traceback would hold the failed batch in memory
    return _embed(images, positions[:middle], embedder, into) | _embed(images, positions[middle:], embedder, into)
