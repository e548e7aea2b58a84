"""Windows in which no transition can be, told from the small pictures alone: TransNetV2 need not look at them.

Either nothing changes, or the picture's colours stay as a whole and no frame differs suddenly from the one before: people walk, the camera
shakes. The bounds were set on all known clips (310 windows, 86 with a transition): the calmest window with a gradual transition changes
its colours 1.8 times as much as is allowed here, and every window passed over has a probability below .01. Of 628 dissolves made between
frames of the clips, one is lost whose two pictures differ by 20 grey levels or more; under a bound of .014 it is lost too.
"""

import numpy as np

LAG = 12  # frames between two pictures compared: a slow dissolve changes little from one to the next
STILL = 5.0  # grey levels
COLOURS = 0.018  # mean distance of cumulative histograms: the share of pixels that moved up or down by one step, over all steps
SUDDEN = 4.0  # times the middle difference between neighbours, which counts for one grey level at least
_STEPS = 32  # of a histogram


def is_calm(window: np.ndarray) -> bool:
    """`window`: RGB uint8 (n, 27, 48, 3), n > LAG. True: there is no cut in it, nor a dissolve."""
    pictures = window.astype(np.int16)
    if _difference(pictures, LAG).max() < STILL:
        return True
    steps = _difference(pictures, 1)
    if steps.max() >= SUDDEN * max(float(np.median(steps)), 1.0):
        return False
    colours = _cumulative_histograms(window)
    return bool(np.abs(colours[LAG:] - colours[:-LAG]).mean(axis=(1, 2)).max() < COLOURS)


def _difference(pictures: np.ndarray, lag: int) -> np.ndarray:
    """Mean absolute difference to the picture `lag` frames before, in grey levels, `(n - lag,)`."""
    return np.abs(pictures[lag:] - pictures[:-lag]).mean(axis=(1, 2, 3))


def _cumulative_histograms(window: np.ndarray) -> np.ndarray:
    """Of each frame and channel: the share of pixels up to each of 32 levels, float64 (n, 3, 32)."""
    count, pixels = len(window), window.shape[1] * window.shape[2]
    level = (window // (256 // _STEPS)).reshape(count, pixels, 3)
    cell = level + _STEPS * (np.arange(3) + 3 * np.arange(count)[:, None, None])
    counts = np.bincount(cell.ravel(), minlength=count * 3 * _STEPS)
    return counts.reshape(count, 3, _STEPS).cumsum(axis=2) / pixels
