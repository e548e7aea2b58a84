"""An Embedder over any model of the GPU kind: prepares inputs ahead on the CPU while the device computes, in batches that fit.

A Tower knows one model: how an input is prepared and what the model makes of a batch. A TowerEmbedder runs it. The process that
holds them may be this one or a worker (`worker.py`).
"""

import logging
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import numpy as np

from khung.errors import CorruptError, ModelError
from khung.vision import Image
from khung.vision.batches import Batches, BatchLimits, Strain
from khung.vision.device import MemoryMeter

log = logging.getLogger(__name__)
PREPARERS = 4  # threads; PIL and numpy let one another run

Encoded = bytes
"""A JPEG, PNG or WebP file: decoded ahead, too."""

In = TypeVar("In")
Out = TypeVar("Out")


class Tower(Protocol):
    """One model that puts images and texts into one space. What `image`, `text` and `pair` return is its own; it has `tokens`."""

    fingerprint: str
    dim: int
    device: str

    def image(self, image: Image) -> Any:
        """A frame."""
        ...

    def text(self, text: str) -> Any:
        """A question."""
        ...

    def pair(self, image: Image, text: str) -> Any:
        """An image and words about it, as one question. Raises ModelError when the model has no such thing."""
        ...

    def forward(self, batch: Sequence[Any]) -> np.ndarray:
        """`(n, dim)` float32 of unit length."""
        ...

    def shrink(self, item: Any) -> Any | None:
        """The same input with about half the image tokens; None when there is nothing left to give."""
        ...


class TowerEmbedder:
    """The Embedder of a Tower. Texts and images may come from several threads: the device works for one at a time."""

    def __init__(self, tower: Tower, limits: BatchLimits | None = None, *, preparers: int = PREPARERS) -> None:
        self.tower = tower
        self.fingerprint, self.dim = tower.fingerprint, tower.dim
        self.batches = Batches(limits, MemoryMeter(tower.device))
        self._preparers = preparers

    def embed_images(self, images: Sequence[Image | Encoded]) -> np.ndarray:
        return self._matrix(self.stream_images(images))

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        return self._matrix(self.stream_texts(texts))

    def embed_pairs(self, pairs: Sequence[tuple[Image, str]]) -> np.ndarray:
        """`(n, dim)` of images with words about them: "this, but at night". Raises ModelError."""
        return self._matrix(self.stream(pairs, lambda pair: self.tower.pair(*pair)))

    def stream_images(self, images: Iterable[Image | Encoded]) -> Iterator[np.ndarray]:
        """A vector an image, in order, each as soon as its batch is done."""
        return self.stream(images, lambda image: self.tower.image(decoded(image)))

    def stream_texts(self, texts: Iterable[str]) -> Iterator[np.ndarray]:
        return self.stream((unicodedata.normalize("NFC", text) for text in texts), self.tower.text)

    def stream(self, inputs: Iterable[In], prepare: Callable[[In], Any]) -> Iterator[np.ndarray]:
        with ThreadPoolExecutor(self._preparers, "prepare") as pool:
            ready = ahead(pool, inputs, prepare, self._preparers * 8)
            yield from self.batches.run(ready, self.tower.forward, self.tower.shrink)

    def _matrix(self, vectors: Iterable[np.ndarray]) -> np.ndarray:
        rows = list(vectors)
        matrix = np.stack(rows) if rows else np.zeros((0, self.dim), np.float32)
        if not np.isfinite(matrix).all():
            raise not_finite(self.fingerprint)
        return matrix

    @property
    def strain(self) -> Strain:
        return self.batches.strain


def not_finite(fingerprint: str) -> ModelError:
    return ModelError(f"{fingerprint} gave vectors that are not finite.", cure="Use bfloat16 or float32.")


def ahead(pool: ThreadPoolExecutor, inputs: Iterable[In], make: Callable[[In], Out], depth: int) -> Iterator[Out]:
    """`map` in order with at most `depth` results made ahead: memory stays bounded however long the input is."""
    waiting: deque[Future[Out]] = deque()
    for one in inputs:
        waiting.append(pool.submit(make, one))
        if len(waiting) >= depth:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def decoded(image: Image | Encoded) -> Image:
    """The picture as an array. Raises CorruptError."""
    if isinstance(image, np.ndarray):
        return image
    import io

    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    try:
        with Pillow.open(io.BytesIO(image)) as picture:
            return np.asarray(picture.convert("RGB"))
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise CorruptError(
            f"A picture cannot be decoded: {error}.", cure="Make the video's keyframes again."
        ) from error


def unit(vectors: Any) -> np.ndarray:
    """A torch matrix `(n, dim)` as float32 rows of unit length: the norm is taken in float32 whatever the model's type."""
    import torch

    return torch.nn.functional.normalize(vectors.float(), p=2, dim=-1).cpu().numpy()
