"""How good a frame is to look at: `sharpness`, `brightness` and `entropy`.

Sharpness is the mean absolute Laplacian of the full-size brightness plane in `BANDS` bands of `ROWS` rows, over its range: blur of a
few pixels, which the small pictures cannot show, lowers it. It compares frames of one video, not videos. Brightness is the mean,
entropy that of the histogram of the 192×108 grey picture over its 8 bits; both in [0, 1].
"""

import numpy as np

from khung.video.views import Picture

BANDS, ROWS = 6, 8


class QualityTap:
    def see(self, picture: Picture) -> None:
        import cv2

        histogram = cv2.calcHist([picture.grey], [0], None, [256], [0, 256]).ravel() / picture.grey.size
        used = histogram[histogram > 0]
        picture.scores["entropy"] = float(-(used * np.log2(used)).sum() / 8)
        picture.scores["brightness"] = float(histogram @ np.arange(256)) / 255
        picture.scores["sharpness"] = sharpness(picture.luma) / picture.luma_max

    def close(self) -> None:
        """Nothing is held back."""


def sharpness(luma: np.ndarray) -> float:
    """Mean absolute Laplacian of evenly spread bands of rows, in the plane's own units."""
    import cv2

    height = len(luma)
    starts = np.linspace(0, max(0, height - ROWS), BANDS + 2)[1:-1].astype(int)
    total = size = 0.0
    for start in starts:
        band = np.ascontiguousarray(luma[start : start + ROWS])
        edges = cv2.Laplacian(band, cv2.CV_16S if band.dtype == np.uint8 else cv2.CV_32F)
        total += cv2.norm(edges, cv2.NORM_L1)
        size += edges.size
    return total / size if size else 0.0
