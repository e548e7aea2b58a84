"""How much moves in a frame, and how much happens in a shot: both in [0, 1], from the stored signals.

Formulas, version 2 (docs/keyframes.md): `motion = 1 - exp(-flow / 0.2)`, where flow is in picture diagonals a second, averaged over
half a second to each side; `complexity = (motion + variety) / 2`, where variety is the mean Hamming distance of neighbouring
candidates, as if there were one in each window of `1 / max_fps` seconds, over 24 bits, at most 1.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from khung.video.candidates import Candidate
from khung.video.phash import distance

TYPICAL_FLOW = 0.2  # diagonals a second: a person walks through the picture in about five
AROUND_MS = 500
VARIED_BITS = 24  # two unrelated pictures differ in about 32


def motion_at(signals: dict[str, np.ndarray], start_ms: int, end_ms: int) -> float:
    """The motion score of the frames in `[start_ms, end_ms)`; 0 when there is none."""
    first, last = np.searchsorted(signals["pts_ms"], [start_ms, end_ms])
    flow = signals["flow"][first:last]
    return float(1 - np.exp(-flow.mean() / TYPICAL_FLOW)) if len(flow) else 0.0


def complexity(
    signals: dict[str, np.ndarray], candidates: Sequence[Candidate], start_ms: int, end_ms: int, max_fps: float
) -> float:
    """How much happens between these times; `candidates` are those in between, by time. Where the picture stood still, windows have none."""
    steps = list(pairwise(candidates))
    bits = sum(distance(left.phash, right.phash) for left, right in steps)
    windows = sum(max(1, round((right.pts_ms - left.pts_ms) / 1000 * max_fps)) for left, right in steps)
    variety = min(1.0, bits / windows / VARIED_BITS) if steps else 0.0
    return (motion_at(signals, start_ms, end_ms) + variety) / 2
