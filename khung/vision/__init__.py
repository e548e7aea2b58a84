"""Models that look at frames. Three Protocols and one implementation a file; nothing here knows shards or searches.

An image is an RGB uint8 array `(height, width, 3)`. A model's `fingerprint` names everything that its output depends on
(model, revision, precision, options, code version) and goes into every manifest.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from khung.records import Description, TextLine

Image = np.ndarray
"""RGB uint8 `(height, width, 3)`."""


class Embedder(Protocol):
    """Puts images and texts into one vector space."""

    fingerprint: str
    dim: int

    def embed_images(self, images: Sequence[Image]) -> np.ndarray:
        """`(n, dim)` float32 of unit length, in the order given. Raises ModelError."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """`(n, dim)` float32 of unit length: *queries*, in Vietnamese or English. Raises ModelError."""
        ...


class Describer(Protocol):
    """Says what is in a frame, in Vietnamese and English, with structured fields from closed vocabularies."""

    fingerprint: str

    def describe(self, images: Sequence[Image]) -> list[Description]:
        """One Description an image, in the order given. Raises ModelError."""
        ...


class TextReader(Protocol):
    """Reads the text on the screen."""

    fingerprint: str

    def read(self, images: Sequence[Image]) -> list[tuple[TextLine, ...]]:
        """The lines of each image, from top to bottom. Raises ModelError."""
        ...
