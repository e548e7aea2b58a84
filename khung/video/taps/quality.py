"""How good a frame is to look at: `sharpness`, `brightness` and `entropy`.

Sharpness (khung.video.planes) is that of the full-size brightness plane, over its range: it compares frames of one video, not videos. Brightness
is the mean, entropy that of the histogram over its 8 bits, of the 96×54 grey picture; both in [0, 1].
"""

import math
from functools import cache

import numpy as np

from khung.video.chunk import Chunk


class QualityTap:
    def see(self, chunk: Chunk) -> None:
        counts = histograms(chunk.grey)
        pixels = counts[0].sum()
        chunk.scores["entropy"] = entropy(counts)
        chunk.scores["brightness"] = counts @ np.arange(256) / (255 * pixels)
        chunk.scores["sharpness"] = chunk.sharpness

    def close(self) -> None:
        """Nothing is held back."""


def histograms(greys: np.ndarray) -> np.ndarray:
    """uint8 `(n, height, width)` → how often each of the 256 values occurs, int32 `(n, 256)`."""
    import cv2

    return np.stack([cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel() for grey in greys]).astype(np.int32)


def entropy(counts: np.ndarray) -> np.ndarray:
    """Shannon's of each histogram, over the 8 bits it can have."""
    pixels = int(counts[0].sum())
    return np.maximum(0.0, math.log2(pixels) - _count_times_log(pixels)[counts].sum(axis=1) / pixels) / 8


@cache
def _count_times_log(most: int) -> np.ndarray:
    """k · log2 k for k from 0 to `most`."""
    k = np.arange(most + 1, dtype=np.float64)
    return k * np.log2(np.maximum(k, 1))
