"""PySceneDetect's content score of every frame: the mean difference of hue, saturation and value to the frame before.

The score (`content`, 0 to 255) is ContentDetector's `content_val` to the last digit, on 192×108 pictures, computed in one sixth of the time
(a test holds the two together). Its detectors are run on the stored scores later (khung.shots.content), so a threshold can be
changed without decoding again. A frame that looks like the first after a hard cut is marked (`picture.jumps`) for the taps behind.
"""

from collections import deque

import numpy as np

from khung.video.views import Picture

JUMP = 15.0  # PySceneDetect's min_content_val for adaptive cuts …
JUMP_RATIO = 3.0  # … and its ratio to the neighbours, here to the two before


class ContentTap:
    def __init__(self) -> None:
        self._hsv: np.ndarray | None = None
        self._before: deque[float] = deque([0.0, 0.0], maxlen=2)

    def see(self, picture: Picture) -> None:
        score = self._score(picture.medium)
        picture.scores["content"] = score
        picture.jumps = score >= JUMP and score >= JUMP_RATIO * sum(self._before) / 2
        self._before.append(score)

    def _score(self, bgr: np.ndarray) -> float:
        import cv2

        last, self._hsv = self._hsv, cv2.cvtColor(bgr, cv2.COLOR_BGR2HSV)
        return 0.0 if last is None else cv2.norm(last, self._hsv, cv2.NORM_L1) / bgr.size

    def close(self) -> None:
        """Nothing is held back."""
