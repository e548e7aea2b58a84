"""PySceneDetect's content score of every frame: the mean difference of hue, saturation and value to the frame before.

The score (`content`, 0 to 255) is ContentDetector's `content_val` to the last digit, on 96×54 pictures, computed in one sixth of the time
(a test holds the two together). Its detectors are run on the stored scores later (khung.shots.content), so a threshold can be
changed without decoding again. A frame that looks like the first after a hard cut is marked (`picture.jumps`) for the taps behind.
"""

from collections import deque

import numpy as np

from khung.video.chunk import Chunk

JUMP = 15.0  # PySceneDetect's min_content_val for adaptive cuts …
JUMP_RATIO = 3.0  # … and its ratio to the neighbours, here to the two before


class ContentTap:
    def __init__(self) -> None:
        self._last: np.ndarray | None = None  # the frame before, HSV
        self._before: deque[float] = deque([0.0, 0.0], maxlen=2)

    def see(self, chunk: Chunk) -> None:
        scores = [self._score(hsv) for hsv in chunk.hsv]
        for position, score in enumerate(scores):
            chunk.jumps[position] = score >= JUMP and score >= JUMP_RATIO * sum(self._before) / 2
            self._before.append(score)
        chunk.scores["content"] = np.array(scores)

    def _score(self, hsv: np.ndarray) -> float:
        import cv2

        last, self._last = self._last, hsv
        return 0.0 if last is None else cv2.norm(last, hsv, cv2.NORM_L1) / hsv.size

    def close(self) -> None:
        """Nothing is held back."""
