"""How much moves: `change` from frame to frame, and `flow`, the length of optical flow, a few times a second.

`change` is the mean absolute difference of brightness, 0 to 1, at every frame. `flow` is the mean length of DIS optical flow
(Kroeger et al. 2016) between two neighbouring frames, shrunk to 96×54, in picture diagonals a second, so that neither frame rate nor size
matters; it is measured at most `RATE` times a second, never across a jump, and repeated until the next measure.
"""

import math

import numpy as np

from khung.video.views import Picture

RATE = 4.0
FLOW_SIZE = (96, 54)


class MotionTap:
    def __init__(self) -> None:
        import cv2

        self._dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._last: tuple[int, np.ndarray] | None = None  # pts_ms, grey picture
        self._flow = 0.0
        self._next_ms = 0.0

    def see(self, picture: Picture) -> None:
        change = 0.0
        if self._last:
            last_ms, last_grey = self._last
            change = _change(last_grey, picture.grey)
            if picture.pts_ms >= self._next_ms and not picture.jumps:
                self._next_ms = picture.pts_ms + 1000 / RATE
                self._flow = self._length(last_grey, picture.grey, picture.pts_ms - last_ms)
        picture.scores["change"], picture.scores["flow"] = change, self._flow
        self._last = picture.pts_ms, picture.grey

    def _length(self, left: np.ndarray, right: np.ndarray, ms: int) -> float:
        import cv2

        left, right = (cv2.resize(grey, FLOW_SIZE, interpolation=cv2.INTER_AREA) for grey in (left, right))
        flow = self._dis.calc(left, right, None)
        pixels = float(np.hypot(flow[..., 0], flow[..., 1]).mean())
        return pixels / math.hypot(*FLOW_SIZE) / (max(ms, 1) / 1000)

    def close(self) -> None:
        """Nothing is held back."""


def _change(left: np.ndarray, right: np.ndarray) -> float:
    import cv2

    return cv2.norm(left, right, cv2.NORM_L1) / (255 * left.size)
