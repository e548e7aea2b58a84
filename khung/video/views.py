"""One decoded frame: its planes as stored, and the full picture on demand. The small pictures are made in chunk.py.

Runs in the sandboxed child only.
"""

import re
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import av
    from av.video.reformatter import VideoReformatter

_ONE_BYTE, _TWO_BYTES = np.dtype(np.uint8), np.dtype("<u2")
_PLANAR = re.compile(r"yuva?(j?)(4[0-4]{2}|411|410)p(9|10|12|14|16)?(?:le)?$")


class Picture:
    """One decoded frame. `aspect` is the width of a pixel over its height; `turns` the quarters clockwise that make it upright."""

    def __init__(self, index: int, pts_ms: int, frame: "av.VideoFrame", aspect: float = 1.0) -> None:
        self.index, self.pts_ms, self.frame, self.aspect = index, pts_ms, frame, aspect
        self.turns = rotation_of(frame) // 90

    @property
    def form(self) -> tuple[str, int, int, int, int]:
        """What must be the same for frames to be treated together: pixel format, size, colour range, rotation."""
        frame = self.frame
        return frame.format.name, frame.width, frame.height, int(frame.color_range), self.turns

    @cached_property
    def planes(self) -> list[np.ndarray] | None:
        """Zero-copy views as stored: Y, U and V; Y and UV of a hardware decoder's NV12; None for what swscale must convert."""
        name = self.frame.format.name
        if name == "nv12":
            light, colour = self.frame.planes
            pairs = _array(colour, _TWO_BYTES)
            return [_array(light, _ONE_BYTE), pairs.view(np.uint8).reshape(*pairs.shape, 2)]
        depth = planar_depth(name)
        planes = self.frame.planes[:3] if depth else ()
        if not planes or any(plane.line_size <= 0 for plane in planes):
            return None
        dtype = _ONE_BYTE if depth == 8 else _TWO_BYTES
        return [_array(plane, dtype) for plane in planes]

    @cached_property
    def luma(self) -> np.ndarray:
        """The brightness plane in full size and depth, as stored: uint8, or uint16 for more than 8 bits."""
        return (
            self.planes[0]
            if self.planes
            else _array(self.frame.reformat(format="gray", threads=1).planes[0], _ONE_BYTE)
        )

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) as shown: upright, in square pixels."""
        width, height = square_size(self.frame.width, self.frame.height, self.aspect)
        return (height, width) if self.turns % 2 else (width, height)

    @property
    def luma_max(self) -> int:
        """The largest value that `luma` can hold: 255, 1023, …"""
        return (1 << (planar_depth(self.frame.format.name) or 8)) - 1

    def master(self, max_side: int, reformatter: "VideoReformatter | None" = None) -> np.ndarray:
        """The whole picture, BGR uint8, upright, with square pixels, no side longer than `max_side`.

        A `reformatter` that is kept from frame to frame saves its tables being made anew.
        """
        width, height = square_size(self.frame.width, self.frame.height, self.aspect)
        scale = min(1.0, max_side / max(width, height))
        wanted = {
            "width": max(1, round(width * scale)),
            "height": max(1, round(height * scale)),
            "format": "bgr24",
            "interpolation": "AREA" if scale < 1 else "BICUBIC",
            "threads": 1,
        }
        bgr = reformatter.reformat(self.frame, **wanted) if reformatter else self.frame.reformat(**wanted)
        return upright(bgr.to_ndarray(), self.turns)


def rotation_of(frame: "av.VideoFrame") -> int:
    """Degrees clockwise to turn the stored picture by: 0, 90, 180 or 270. (FFmpeg counts the other way round.)"""
    return round(-frame.rotation / 90) % 4 * 90


def upright(picture: np.ndarray, turns: int) -> np.ndarray:
    """The picture, or all pictures of a stack `(n, height, width, 3)`, turned clockwise by `turns` quarters."""
    axes = (picture.ndim - 3, picture.ndim - 2)
    return np.ascontiguousarray(np.rot90(picture, -turns, axes)) if turns else picture


def square_size(width: int, height: int, aspect: float) -> tuple[int, int]:
    """(width, height) in square pixels; an aspect that no camera has is a lie in the header."""
    return (round(width * aspect), height) if 1 / 4 <= aspect <= 4 else (width, height)


@cache
def planar_depth(pixel_format: str) -> int:
    """Bits a sample of a planar YUV format whose planes can be read as they lie; 0 for any other format."""
    match = _PLANAR.match(pixel_format)
    return int(match[3] or 8) if match else 0


def _array(plane: "av.video.plane.VideoPlane", dtype: np.dtype) -> np.ndarray:
    return np.ndarray((plane.height, plane.width), dtype, plane, 0, (plane.line_size, dtype.itemsize))
