"""The perceptual hash: 64 bits that stay nearly the same when a picture is scaled, re-encoded or slightly changed.

DCT of the 32×32 grey picture, the 8×8 lowest frequencies, one bit each: above the median or not. Bit order and formula
are those of `imagehash.phash` (the first coefficient is the highest bit), so thresholds of the field carry over; pictures are
shrunk by area instead of Lanczos.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np

SIDE, LOW = 32, 8
MIDDLE = LOW * LOW // 2


def phash(grey: np.ndarray) -> int:
    """uint8 `(height, width)` → 64 bits."""
    return int(phash_many([grey])[0])


def phash_many(greys: Sequence[np.ndarray]) -> np.ndarray:
    """uint8 pictures of any sizes → uint64 `(n,)`."""
    import cv2

    small = np.empty((len(greys), SIDE, SIDE), np.float32)
    for i, grey in enumerate(greys):
        small[i] = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    low = (_basis() @ small @ _basis().T).reshape(len(greys), LOW * LOW)
    ordered = np.sort(low, axis=1)
    bits = (
        low > (ordered[:, MIDDLE - 1, None] + ordered[:, MIDDLE, None]) / 2
    )  # the median; numpy's own takes twice as long
    return np.packbits(bits, axis=1).view(">u8").astype(np.uint64).reshape(-1)


def distance(left: int, right: int) -> int:
    """Hamming distance, 0 to 64."""
    return (left ^ right).bit_count()


@cache
def _basis() -> np.ndarray:
    """The first rows of the type-II DCT, unnormalised as in scipy (scale does not move the median test)."""
    k, n = np.arange(LOW)[:, None], np.arange(SIDE)[None, :]
    return (2 * np.cos(np.pi * k * (2 * n + 1) / (2 * SIDE))).astype(np.float32)
