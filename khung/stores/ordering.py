"""Best first, ties by number: one sort of whole numbers in place of one by two columns. What is ordered is the caller's."""

import numpy as np


def best_first(scores: np.ndarray, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k best of float32 scores, none of them NaN, and their rows (0 ≤ row < 2³¹, each once): best first, ties by row, as float32 and int64.

    A score's bits, read as a whole number, order as the score does once those of negative ones are turned round; the row below them
    breaks ties. NumPy sorts such numbers several times as fast as it sorts by two columns.
    """
    if len(scores) > k:
        kept = np.flatnonzero(scores >= np.partition(scores, len(scores) - k)[len(scores) - k])
        scores, rows = scores[kept], rows[kept]
    keys = _turned((scores + np.float32(0)).view(np.int32)).astype(np.int64)  # −0 and 0 are one score
    keys = np.sort((~keys << 32) | rows)[:k]
    return _turned((~(keys >> 32)).astype(np.int32)).view(np.float32), keys & 0xFFFFFFFF


def _turned(bits: np.ndarray) -> np.ndarray:
    """Its own inverse."""
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)
