"""What an image is of: EfficientNet-Lite0 over the 1000 classes of ImageNet (Tan & Le 2019; Lite by Google, Apache-2.0)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from khung.vision import Image
from khung.vision.runtime import Net

SIDE = 224
_MEAN, _SCALE = 127.0, 128.0  # of the Lite family's published preprocessing


class ImageClassifier:
    """Call it with images, get `(n, 1000)` float32 probabilities in the order of `vocabulary.image_classes()`.

    The whole frame is squeezed into the square: a crop would lose the sides of a 16:9 picture.
    """

    code_version = 1

    def __init__(self, path: Path, *, threads: int = 0) -> None:
        self._net = Net(path, threads=threads, wide=True)

    def __call__(self, images: Sequence[Image]) -> np.ndarray:
        if not images:
            return np.empty((0, 1000), np.float32)
        return np.concatenate(
            [probabilities for (probabilities,) in self._net.map(_prepare(image)[None] for image in images)]
        )


def _prepare(image: Image) -> np.ndarray:
    import cv2

    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return (small.astype(np.float32) - _MEAN) / _SCALE
