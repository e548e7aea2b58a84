"""How much moves: `change` from frame to frame, and `flow`, the length of optical flow, a few times a second.

`change` is the mean absolute difference of brightness, 0 to 1, at every frame. `flow` is the mean length of DIS optical flow
(Kroeger et al. 2016) between two neighbouring frames, at 96×54, in picture diagonals a second, so that neither frame rate nor size
matters; it is measured at most `RATE` times a second, never across a jump, and repeated until the next measure.
"""

import math

import numpy as np

from khung.video.chunk import Chunk

RATE = 4.0


class MotionTap:
    def __init__(self) -> None:
        import cv2

        self._dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._last: tuple[int, np.ndarray] | None = None  # pts_ms, grey picture
        self._flow = 0.0
        self._next_ms = 0.0

    def see(self, chunk: Chunk) -> None:
        frames = zip(chunk.pts_ms.tolist(), chunk.grey, chunk.jumps.tolist(), strict=True)
        measured = [self._measure(pts_ms, grey, jumps) for pts_ms, grey, jumps in frames]
        chunk.scores["change"], chunk.scores["flow"] = np.array(measured).T

    def _measure(self, pts_ms: int, grey: np.ndarray, jumps: bool) -> tuple[float, float]:
        """(change, flow) of the next frame."""
        import cv2

        change = 0.0
        if self._last:
            last_ms, last = self._last
            change = cv2.norm(last, grey, cv2.NORM_L1) / (255 * grey.size)
            if pts_ms >= self._next_ms and not jumps:
                self._next_ms = pts_ms + 1000 / RATE
                self._flow = self._length(last, grey, pts_ms - last_ms)
        self._last = pts_ms, grey
        return change, self._flow

    def _length(self, left: np.ndarray, right: np.ndarray, ms: int) -> float:
        import cv2

        across, down = cv2.split(self._dis.calc(left, right, None))
        pixels = cv2.mean(cv2.magnitude(across, down))[0]
        return pixels / math.hypot(*left.shape) / (max(ms, 1) / 1000)

    def close(self) -> None:
        """Nothing is held back."""
