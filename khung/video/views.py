"""What taps see of a decoded frame: small pictures made straight from its planes, and the full picture only on demand.

Converting 720p to RGB costs as much as decoding it, so the three planes are first thinned to 192×108 by nearest
neighbour (a view, no copy) and only that is converted to colours; averaged down to 48×27 it gives TransNetV2 the same cuts as a full area
scaling (F1 0.995, against 0.967 for swscale's fast_bilinear). Colours of small pictures are BT.601's, which differs too
little from BT.709 to move a cut. Runs in the sandboxed child only.
"""

import re
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import av

MEDIUM = (192, 108)  # width, height of the pictures that the content, motion and hash taps see
SMALL = (48, 27)  # of TransNetV2's input

_PLANAR = re.compile(r"yuva?(j?)(4[0-4]{2}|411|410)p(9|10|12|14|16)?(?:le)?$")
_JPEG_RANGE = 2


class Picture:
    """One decoded frame with upright views that are made once and on demand. `scores` collects what taps measure.

    `aspect` is the width of a pixel over its height.
    """

    def __init__(self, index: int, pts_ms: int, frame: "av.VideoFrame", aspect: float = 1.0) -> None:
        self.index, self.pts_ms, self.frame, self.aspect = index, pts_ms, frame, aspect
        self.turns = rotation_of(frame) // 90
        self.scores: dict[str, float] = {}
        self.jumps = False  # looks like the first frame after a hard cut

    @cached_property
    def planes(self) -> list[np.ndarray] | None:
        """Zero-copy views as stored: Y, U and V; Y and UV of a hardware decoder's NV12; None for what swscale must convert."""
        if self.frame.format.name == "nv12":
            light, colour = self.frame.planes
            pairs = _array(colour, np.dtype("<u2")).view(np.uint8)
            return [_array(light, np.dtype(np.uint8)), pairs.reshape(len(pairs), -1, 2)]
        if not _PLANAR.match(self.frame.format.name) or any(plane.line_size <= 0 for plane in self.frame.planes[:3]):
            return None
        dtype = np.dtype(np.uint8 if _depth(self.frame) == 8 else "<u2")
        return [_array(plane, dtype) for plane in self.frame.planes[:3]]

    @cached_property
    def medium(self) -> np.ndarray:
        """BGR uint8 (108, 192, 3)."""
        size = MEDIUM[::-1] if self.turns % 2 else MEDIUM
        bgr = _thinned(self.planes, size, self.frame) if self.planes else _scaled(self.frame, size)
        return upright(bgr, self.turns)

    @cached_property
    def grey(self) -> np.ndarray:
        """uint8 (108, 192)."""
        import cv2

        return cv2.cvtColor(self.medium, cv2.COLOR_BGR2GRAY)

    @cached_property
    def small(self) -> np.ndarray:
        """RGB uint8 (27, 48, 3)."""
        import cv2

        return cv2.cvtColor(cv2.resize(self.medium, SMALL, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)

    @cached_property
    def luma(self) -> np.ndarray:
        """The brightness plane in full size and depth, as stored: uint8, or uint16 for more than 8 bits."""
        return self.planes[0] if self.planes else _array(self.frame.reformat(format="gray").planes[0], np.uint8)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) as shown: upright, in square pixels."""
        width, height = square_size(self.frame.width, self.frame.height, self.aspect)
        return (height, width) if self.turns % 2 else (width, height)

    @property
    def luma_max(self) -> int:
        """The largest value that `luma` can hold: 255, 1023, …"""
        return (1 << _depth(self.frame)) - 1

    def master(self, max_side: int) -> np.ndarray:
        """The whole picture, BGR uint8, upright, with square pixels, no side longer than `max_side`."""
        width, height = square_size(self.frame.width, self.frame.height, self.aspect)
        scale = min(1.0, max_side / max(width, height))
        bgr = self.frame.reformat(
            width=max(1, round(width * scale)),
            height=max(1, round(height * scale)),
            format="bgr24",
            interpolation="AREA" if scale < 1 else "BICUBIC",
        )
        return upright(bgr.to_ndarray(), self.turns)


def rotation_of(frame: "av.VideoFrame") -> int:
    """Degrees clockwise to turn the stored picture by: 0, 90, 180 or 270. (FFmpeg counts the other way round.)"""
    return round(-frame.rotation / 90) % 4 * 90


def upright(picture: np.ndarray, turns: int) -> np.ndarray:
    """The picture turned clockwise by `turns` quarters."""
    return np.ascontiguousarray(np.rot90(picture, -turns)) if turns else picture


def square_size(width: int, height: int, aspect: float) -> tuple[int, int]:
    """(width, height) in square pixels; an aspect that no camera has is a lie in the header."""
    return (round(width * aspect), height) if 1 / 4 <= aspect <= 4 else (width, height)


def _array(plane: "av.video.plane.VideoPlane", dtype: np.dtype) -> np.ndarray:
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height]
    return rows[:, : plane.width * np.dtype(dtype).itemsize].view(dtype)


def _depth(frame: "av.VideoFrame") -> int:
    match = _PLANAR.match(frame.format.name)
    return int(match[3] or 8) if match else 8


def _thinned(planes: list[np.ndarray], size: tuple[int, int], frame: "av.VideoFrame") -> np.ndarray:
    """BGR of `size` from every n-th sample of each plane."""
    import cv2

    width, height = size
    shift = _depth(frame) - 8
    i420 = np.empty((height * 3 // 2, width), np.uint8)
    half = (width // 2, height // 2)
    parts = (i420[:height], *i420[height:].reshape(2, half[1], half[0]))
    thin = [cv2.resize(planes[0], size, interpolation=cv2.INTER_NEAREST)]
    for plane in planes[1:]:
        colour = cv2.resize(plane, half, interpolation=cv2.INTER_NEAREST)
        thin += [colour] if colour.ndim == 2 else [colour[..., 0], colour[..., 1]]
    for part, values in zip(parts, thin, strict=True):
        part[:] = values >> shift if shift else values
    if frame.color_range == _JPEG_RANGE or "yuvj" in frame.format.name:  # OpenCV reads the studio range
        i420[:height] = cv2.convertScaleAbs(i420[:height], alpha=219 / 255, beta=16)
        i420[height:] = cv2.convertScaleAbs(i420[height:], alpha=224 / 255, beta=128 * (1 - 224 / 255))
    return cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420)


def _scaled(frame: "av.VideoFrame", size: tuple[int, int]) -> np.ndarray:
    """BGR of `size` by swscale, for palettes, packed and grey pictures."""
    return frame.reformat(width=size[0], height=size[1], format="bgr24", interpolation="AREA").to_ndarray()
