"""What each detector's answer says in one form: a Boundary. TransNetV2's probabilities are read here.

A boundary's `frame` is the first frame of the new shot. A gradual transition (dissolve, fade, wipe) has a range of frames beside,
`[first, last)`, that belongs to neither picture alone; its boundary stands in the middle.
"""

from dataclasses import dataclass

import numpy as np

from khung.shots.transnet import Prediction

GRADUAL_FRAMES = 5  # `many_hot` marks one to three frames at a hard cut; from here on it is a transition one can see
INSIDE = 0.5  # probability from which a frame counts as part of a transition


@dataclass(frozen=True, slots=True)
class Boundary:
    """`confidence` in [0, 1]; `detectors` sorted; `transition` only for a gradual one."""

    frame: int
    confidence: float
    detectors: tuple[str, ...]
    transition: tuple[int, int] | None = None


def transnet_boundaries(prediction: Prediction, threshold: float) -> list[Boundary]:
    """One boundary for each run of frames whose `one_hot` reaches the threshold."""
    found = []
    for start, end in runs(prediction.one_hot >= threshold):
        peak = start + int(prediction.one_hot[start:end].argmax())
        confidence = float(prediction.one_hot[peak])
        transition = _transition(prediction.many_hot, peak)
        frame = (transition[0] + transition[1] + 1) // 2 if transition else peak + 1
        if 0 < frame < len(prediction.one_hot):
            found.append(Boundary(frame, confidence, ("transnet",), transition))
    return found


def _transition(many_hot: np.ndarray, peak: int) -> tuple[int, int] | None:
    """The run of transition frames around the peak, if it is long enough to be gradual."""
    for start, end in runs(many_hot >= INSIDE):
        if start <= peak < end and end - start >= GRADUAL_FRAMES:
            return start, end
    return None


def runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """The half-open ranges in which the mask holds."""
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return [(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]
