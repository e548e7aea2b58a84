"""Who a video is: the SHA-256 of its bytes, and perceptual hashes at 1 frame a second that survive re-encoding.

`Video.sequence_hash` is the hex form: 16 digits for each second. Making the hashes is a tap's work (taps/sequence.py).
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SAME_PICTURE = (
    10  # Hamming distance of two 64-bit hashes at most: a re-encoded frame is within 6, a strange one near 32
)
MIN_COVERAGE = 0.9
MIN_SECONDS = 8  # shorter videos have too few hashes to be sure
MIN_PICTURES = 4


def file_sha256(path: Path) -> str:
    """Hex digest of the file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class SequenceMatch:
    """`coverage`: the share of our seconds that look like the other video's when `offset_s` is added to its times."""

    coverage: float
    offset_s: int


def to_hex(hashes: np.ndarray) -> str:
    """uint64 `(n,)` → hex, 16 digits each."""
    return "".join(f"{int(value):016x}" for value in hashes)


def from_hex(text: str) -> np.ndarray:
    """The inverse of `to_hex`."""
    return np.array([int(text[i : i + 16], 16) for i in range(0, len(text), 16)], np.uint64)


def match_sequences(ours: str, other: str) -> SequenceMatch | None:
    """The one offset at which most of our seconds are the other video's, if at least 0.9 of them are; else None.

    A still or black picture agrees with itself at any offset and proves nothing: the seconds that agree must show
    several different pictures.
    """
    left, right = from_hex(ours), from_hex(other)
    if len(left) < MIN_SECONDS or not len(right):
        return None
    counts = np.zeros(len(left) + len(right) - 1, np.int64)  # by offset, from 1 - len(right) on
    for second, value in enumerate(left):
        counts[second : second + len(right)] += _same(value, right)[::-1]
    offset = int(max(np.flatnonzero(counts == counts.max()) - (len(right) - 1), key=lambda shift: -abs(shift)))
    at = np.arange(max(0, offset), min(len(left), len(right) + offset))
    agreeing = left[at][_same(left[at], right[at - offset])]
    coverage = len(agreeing) / len(left)
    return SequenceMatch(coverage, offset) if coverage >= MIN_COVERAGE and _varied(agreeing) else None


def _same(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.bitwise_count(left ^ right) <= SAME_PICTURE


def _varied(hashes: np.ndarray) -> bool:
    """Are there at least `MIN_PICTURES` that all differ from one another?"""
    kept: list[np.uint64] = []
    for value in hashes:
        if len(kept) < MIN_PICTURES and not any(_same(value, seen) for seen in kept):
            kept.append(value)
    return len(kept) >= MIN_PICTURES
