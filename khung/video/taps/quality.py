"""How good a frame is to look at: `sharpness`, `brightness` and `entropy`.

Sharpness is the root mean square of the difference between neighbouring pixels of the full-size brightness plane, over its range, in
`BANDS` bands of `ROWS` rows: blur of a few pixels, which the small pictures cannot show, lowers it (squares, because the mere sum along
an edge is the same however soft the edge). It compares frames of one video, not videos. Brightness is the mean, entropy
that of the histogram over its 8 bits, of every second row of the 192×108 grey picture; both in [0, 1].
"""

import math
from functools import cache

import numpy as np

from khung.video.chunk import Chunk

BANDS, ROWS = 5, 9


class QualityTap:
    def see(self, chunk: Chunk) -> None:
        counts = histograms(chunk.grey[:, ::2])
        pixels = counts[0].sum()
        chunk.scores["entropy"] = entropy(counts)
        chunk.scores["brightness"] = counts @ np.arange(256) / (255 * pixels)
        chunk.scores["sharpness"] = np.array([sharpness(each.luma) / each.luma_max for each in chunk.pictures])

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


def sharpness(luma: np.ndarray) -> float:
    """Root mean square of the differences to the right and lower neighbours, in the plane's own units."""
    import cv2

    height, width = luma.shape
    if height < ROWS or width < 2:
        return 0.0
    lines = np.concatenate([luma[start : start + ROWS] for start in _starts(height)])
    across = cv2.norm(lines[:, 1:], lines[:, :-1], cv2.NORM_L2SQR)
    down = cv2.norm(lines[1:], lines[:-1], cv2.NORM_L2SQR)
    down -= cv2.norm(lines[ROWS::ROWS], lines[ROWS - 1 : -1 : ROWS], cv2.NORM_L2SQR)  # from band to band
    return math.sqrt((across + down) / (BANDS * (ROWS * (width - 1) + (ROWS - 1) * width)))


@cache
def _starts(height: int) -> list[int]:
    """The first rows of the bands, evenly spread."""
    return np.linspace(0, height - ROWS, BANDS + 2)[1:-1].astype(int).tolist()
