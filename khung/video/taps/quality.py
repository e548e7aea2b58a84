"""How good a frame is to look at: `sharpness`, `brightness` and `entropy`.

Sharpness is the root mean square of the difference between neighbouring pixels of the full-size brightness plane, over its range, in
`BANDS` bands of `ROWS` rows: blur of a few pixels, which the small pictures cannot show, lowers it (squares, because the mere sum along
an edge is the same however soft the edge). It compares frames of one video, not videos. Brightness is the mean, entropy
that of the histogram of the 192×108 grey picture over its 8 bits; both in [0, 1].
"""

import math
from functools import cache

import numpy as np

from khung.video.views import Picture

BANDS, ROWS = 5, 8


class QualityTap:
    def see(self, picture: Picture) -> None:
        import cv2

        picture.scores["entropy"] = entropy(picture.grey)
        picture.scores["brightness"] = cv2.mean(picture.grey)[0] / 255
        picture.scores["sharpness"] = sharpness(picture.luma) / picture.luma_max

    def close(self) -> None:
        """Nothing is held back."""


def entropy(grey: np.ndarray) -> float:
    """Shannon's, of the brightness histogram, over the 8 bits it can have."""
    import cv2

    counts = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel().astype(np.int32)
    return max(0.0, float(math.log2(grey.size) - _count_times_log(grey.size)[counts].sum() / grey.size) / 8)


@cache
def _count_times_log(most: int) -> np.ndarray:
    """k · log2 k for k from 0 to `most`."""
    k = np.arange(most + 1, dtype=np.float64)
    return k * np.log2(np.maximum(k, 1))


def sharpness(luma: np.ndarray) -> float:
    """Root mean square of the differences to the right and lower neighbours, in the plane's own units."""
    import cv2

    height, width = luma.shape
    if height <= ROWS or width < 2:
        return 0.0
    squares = 0.0
    for start in np.linspace(0, height - ROWS - 1, BANDS + 2)[1:-1].astype(int):
        band = luma[start : start + ROWS]
        squares += cv2.norm(band[:, 1:], band[:, :-1], cv2.NORM_L2SQR)
        squares += cv2.norm(band, luma[start + 1 : start + ROWS + 1], cv2.NORM_L2SQR)
    return math.sqrt(squares / (BANDS * ROWS * (2 * width - 1)))
