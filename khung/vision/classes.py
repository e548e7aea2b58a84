"""What an image is of: EfficientNet-Lite0 over the 1000 classes of ImageNet (Tan & Le 2019; Lite by Google, Apache-2.0)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from khung.vision import Image
from khung.vision.eight_bits import Precision
from khung.vision.pixels import shrunk
from khung.vision.runtime import Net, taking_bytes

SIDE = 224
MEAN, SCALE = 127.0, 128.0  # of the Lite family's published preprocessing

takes_bytes = taking_bytes(MEAN, SCALE)
"""The change of the file's graph to one that takes `(1, SIDE, SIDE, 3)` uint8."""


class ImageClassifier:
    """Call it with images, get `(n, 1000)` float32 probabilities in the order of `vocabulary.image_classes()`.

    The whole frame is squeezed into the square: a crop would lose the sides of a 16:9 picture.
    """

    code_version = 3

    def __init__(self, path: Path, *, threads: int = 0, precision: Precision = "exact") -> None:
        self._net = Net(path, threads=threads, wide=True, precision=precision, adapt=takes_bytes)

    def __call__(self, images: Sequence[Image]) -> np.ndarray:
        if not images:
            return np.empty((0, 1000), np.float32)
        return np.concatenate(
            [probabilities for (probabilities,) in self._net.map(squeezed(image)[None] for image in images)]
        )


def squeezed(image: Image) -> Image:
    """`(SIDE, SIDE, 3)` uint8."""
    return shrunk(image, SIDE, SIDE)
