"""PySceneDetect's ContentDetector and AdaptiveDetector, its own code, run on the stored content score of every frame.

The score was measured by ContentDetector itself in the decode pass (khung.video.taps.content); here its detectors are fed
the number instead of the picture, so thresholds are tried in milliseconds. Cuts are the index of the first frame after
the cut, as PySceneDetect counts.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np

MIN_FRAMES = 3  # apart within one detector; the minimum length of a shot is merge.py's business


def content_cuts(scores: np.ndarray, threshold: float) -> list[int]:
    """Frames whose score reaches the threshold (27 in PySceneDetect), those of a flash merged."""
    return _run(_replaying("ContentDetector")(threshold=threshold, min_scene_len=MIN_FRAMES), scores)


def adaptive_cuts(scores: np.ndarray, threshold: float) -> list[int]:
    """Frames whose score is `threshold` times (3 in PySceneDetect) that of the two before and the two after."""
    return _run(_replaying("AdaptiveDetector")(adaptive_threshold=threshold, min_scene_len=MIN_FRAMES), scores)


@cache
def _replaying(name: str) -> type:
    """The detector's class, reading a stored score where it would measure a picture."""
    import scenedetect

    def stored(self: object, timecode: object, score: float) -> float:
        return score

    return type(f"Replaying{name}", (getattr(scenedetect, name),), {"_calculate_frame_score": stored})


def _run(detector: object, scores: Sequence[float]) -> list[int]:
    from scenedetect import FrameTimecode

    cuts: list[int] = []
    for index, score in enumerate(scores):
        found = detector.process_frame(
            FrameTimecode(index, 25.0), float(score)
        )  # the rate plays no part: lengths are in frames
        cuts += [cut.frame_num for cut in found]
    return sorted(set(cuts))
