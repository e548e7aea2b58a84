"""All that is read of every frame's full-size planes: some samples, evenly spread, and how sharp the picture is.

Done frame by frame as soon as a frame comes, while the processor's cache still holds it: sixteen frames later it costs half as much again.
Runs in the sandboxed child only.
"""

import math
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from khung.video.views import planar_depth

if TYPE_CHECKING:
    import av

BANDS, ROWS = 5, 9  # of the brightness plane, where sharpness is measured


def thin(planes: list[np.ndarray], frame: "av.VideoFrame", parts: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """Evenly spread samples of the frame's planes into `parts`: Y, U and V, uint8, of any even width each."""
    import cv2

    if len(planes) == 2:
        light, pairs = planes
        cv2.resize(light, parts[0].shape[::-1], parts[0], interpolation=cv2.INTER_NEAREST)
        thinned = cv2.resize(pairs, parts[1].shape[::-1], interpolation=cv2.INTER_NEAREST)
        parts[1][:], parts[2][:] = thinned[..., 0], thinned[..., 1]
    elif planes[0].dtype != np.uint8:
        shift = planar_depth(frame.format.name) - 8
        for plane, part in zip(planes, parts, strict=True):
            part[:] = cv2.resize(plane, part.shape[::-1], interpolation=cv2.INTER_NEAREST) >> shift
    else:
        for plane, part in zip(planes, parts, strict=True):
            source, target = _in_twos(plane), _in_twos(part)
            if source is None:  # a single column, or rows that begin at odd places
                source, target = plane, part
            cv2.resize(source, target.shape[::-1], target, interpolation=cv2.INTER_NEAREST)


def _in_twos(plane: np.ndarray) -> np.ndarray | None:
    """Neighbouring samples as one number, which OpenCV copies many at a time: in a third to a half of the time. A last odd one is left out."""
    width = plane.shape[1] // 2 * 2
    return plane[:, :width].view(np.uint16) if width and plane.strides[0] % 2 == 0 else None


def sharpness(luma: np.ndarray) -> float:
    """Root mean square of the differences between neighbouring samples of the brightness plane, in its own units.

    To the right and down, in `BANDS` bands of `ROWS` rows: blur of a few pixels, which the small pictures cannot show, lowers it (squares,
    because the mere sum along an edge is the same however soft the edge).
    """
    import cv2

    height, width = luma.shape
    if height < ROWS or width < 2:
        return 0.0
    lines = luma[_rows(height)]
    across = cv2.norm(lines[:, 1:], lines[:, :-1], cv2.NORM_L2SQR)
    down = cv2.norm(lines[1:], lines[:-1], cv2.NORM_L2SQR)
    down -= cv2.norm(lines[ROWS::ROWS], lines[ROWS - 1 : -1 : ROWS], cv2.NORM_L2SQR)  # from band to band
    return math.sqrt((across + down) / (BANDS * (ROWS * (width - 1) + (ROWS - 1) * width)))


@cache
def _rows(height: int) -> np.ndarray:
    """Those of the bands, which are evenly spread."""
    starts = np.linspace(0, height - ROWS, BANDS + 2)[1:-1].astype(int)
    return (starts[:, None] + np.arange(ROWS)).ravel()
