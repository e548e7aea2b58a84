"""The dominant colours of a frame, in the eleven basic words of Berlin & Kay (1969)."""

from collections.abc import Sequence

import numpy as np

from khung.vision import Image
from khung.vision.pixels import shrunk

COLOURS = ("black", "white", "grey", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown")
MIN_SHARE = 0.15  # of the pixels
AT_MOST = 3
_SIDE = 64
# Upper bounds of the hue (OpenCV: 0..179) of the colourful words, in order around the circle.
_HUES = ((8, "red"), (20, "orange"), (34, "yellow"), (86, "green"), (130, "blue"), (150, "purple"), (170, "pink"), (180, "red"))  # fmt: skip


def dominant_colours(image: Image) -> tuple[str, ...]:
    """Up to three words, the largest share first."""
    import cv2

    small = shrunk(image, _SIDE, _SIDE)
    hue, saturation, value = (channel.ravel() for channel in cv2.split(cv2.cvtColor(small, cv2.COLOR_RGB2HSV)))
    shares = np.bincount(_words(hue, saturation, value), minlength=len(COLOURS)) / hue.size
    order = np.argsort(-shares, kind="stable")[:AT_MOST]
    return tuple(COLOURS[i] for i in order if shares[i] >= MIN_SHARE)


def _words(hue: np.ndarray, saturation: np.ndarray, value: np.ndarray) -> np.ndarray:
    """The position in COLOURS of each pixel."""
    colourful = np.searchsorted([bound for bound, _ in _HUES], hue, side="right")
    words = np.array([COLOURS.index(word) for _, word in _HUES])[np.minimum(colourful, len(_HUES) - 1)]
    warm = np.isin(words, _indices("red", "orange", "yellow"))
    words = np.where(warm & (value < 140) & (words != COLOURS.index("red")), COLOURS.index("brown"), words)
    words = np.where((words == COLOURS.index("red")) & (saturation < 120) & (value > 170), COLOURS.index("pink"), words)
    words = np.where(saturation < 45, COLOURS.index("grey"), words)
    words = np.where((saturation < 45) & (value > 200), COLOURS.index("white"), words)
    return np.where(value < 50, COLOURS.index("black"), words)


def _indices(*names: str) -> Sequence[int]:
    return [COLOURS.index(name) for name in names]
