"""What taps see: a few consecutive frames at once, with small pictures made straight from their planes.

Converting 720p to RGB costs as much as decoding it, so the three planes are first thinned to 192×108 by nearest
neighbour and only that is converted to colours; averaged down to 48×27 it gives TransNetV2 the same cuts as a full area
scaling (F1 0.995, against 0.967 for swscale's fast_bilinear). Colours of small pictures are BT.601's, which differs too
little from BT.709 to move a cut. The thinned pictures of a chunk lie one below the other, so that each conversion is one call for
all of them; nothing of one reaches another, and the chunk's length never changes a result. Runs in the sandboxed child only.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from khung.video.views import Picture, planar_depth, upright

if TYPE_CHECKING:
    import av

MEDIUM = (192, 108)  # width, height of the pictures that the content, motion and hash taps see
SMALL = (48, 27)  # of TransNetV2's input
FRAMES = 16  # of a chunk at most: what a call costs is shared, and the processor's cache still holds them
MAX_BYTES = 100 * 10**6  # that a chunk's frames may hold: sixteen of 1080p, four of 2160p, in up to three bytes a pixel

_JPEG_RANGE = 2


class Chunk:
    """Consecutive frames of one form. `scores` collects what taps measure, float `(n,)` each.

    `jumps` (bool, `(n,)`) marks frames that look like the first after a hard cut.
    """

    def __init__(self, pictures: Sequence[Picture]) -> None:
        self.pictures = pictures
        self.pts_ms = np.array([picture.pts_ms for picture in pictures], np.int64)
        self.scores: dict[str, np.ndarray] = {}
        self.jumps = np.zeros(len(pictures), bool)

    def __len__(self) -> int:
        return len(self.pictures)

    @cached_property
    def medium(self) -> np.ndarray:
        """BGR uint8 (n, 108, 192, 3), upright."""
        turns = self.pictures[0].turns
        size = MEDIUM[::-1] if turns % 2 else MEDIUM
        bgr = _thinned(self.pictures, size) if self.pictures[0].planes else _scaled(self.pictures, size)
        return upright(bgr, turns)

    @cached_property
    def grey(self) -> np.ndarray:
        """uint8 (n, 108, 192)."""
        import cv2

        return cv2.cvtColor(_stacked(self.medium), cv2.COLOR_BGR2GRAY).reshape(self.medium.shape[:3])

    @cached_property
    def hsv(self) -> np.ndarray:
        """uint8 (n, 108, 192, 3)."""
        import cv2

        return cv2.cvtColor(_stacked(self.medium), cv2.COLOR_BGR2HSV).reshape(self.medium.shape)

    @cached_property
    def small(self) -> np.ndarray:
        """RGB uint8 (n, 27, 48, 3): halved twice, which OpenCV does several times as fast as a quarter at once."""
        import cv2

        width, height = SMALL
        half = cv2.resize(_stacked(self.medium), (2 * width, 2 * height * len(self)), interpolation=cv2.INTER_AREA)
        quarter = cv2.resize(half, (width, height * len(self)), interpolation=cv2.INTER_AREA)
        return cv2.cvtColor(quarter, cv2.COLOR_BGR2RGB).reshape(len(self), height, width, 3)


def chunks(pictures: Iterable[Picture], frames: int = FRAMES) -> Iterator[Chunk]:
    """The pictures in chunks of at most so many; a new one begins where the form changes."""
    held: list[Picture] = []
    form, most = None, frames
    for picture in pictures:
        if held and (len(held) >= most or picture.form != form):
            yield Chunk(held)
            held = []
        if not held:
            form = picture.form
            most = max(1, min(frames, MAX_BYTES // (3 * picture.frame.width * picture.frame.height)))
        held.append(picture)
    if held:
        yield Chunk(held)


def _stacked(pictures: np.ndarray) -> np.ndarray:
    """One below the other."""
    return pictures.reshape(-1, *pictures.shape[2:])


def _thinned(pictures: Sequence[Picture], size: tuple[int, int]) -> np.ndarray:
    """BGR (n, height, width, 3) of `size` from every n-th sample of each plane."""
    import cv2

    (width, height), count = size, len(pictures)
    i420 = np.empty((count * height * 3 // 2, width), np.uint8)
    light = i420[: count * height].reshape(count, height, width)
    colours = i420[count * height :].reshape(2, count, height // 2, width // 2)
    for i, picture in enumerate(pictures):
        _thin(picture.planes, (light[i], colours[0, i], colours[1, i]), picture.frame)
    frame = pictures[0].frame
    if frame.color_range == _JPEG_RANGE or "yuvj" in frame.format.name:  # OpenCV reads the studio range
        light[:] = cv2.convertScaleAbs(_stacked(light), alpha=219 / 255, beta=16).reshape(light.shape)
        colours[:] = cv2.convertScaleAbs(i420[count * height :], alpha=224 / 255, beta=128 * (1 - 224 / 255)).reshape(
            colours.shape
        )
    return cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420).reshape(count, height, width, 3)


def _thin(planes: list[np.ndarray], parts: tuple[np.ndarray, ...], frame: "av.VideoFrame") -> None:
    """Every n-th sample of each plane into `parts`: Y, U and V."""
    import cv2

    if len(planes) == 2:
        light, pairs = planes
        cv2.resize(light, parts[0].shape[::-1], parts[0], interpolation=cv2.INTER_NEAREST)
        thin = cv2.resize(pairs, parts[1].shape[::-1], interpolation=cv2.INTER_NEAREST)
        parts[1][:], parts[2][:] = thin[..., 0], thin[..., 1]
    elif shift := planar_depth(frame.format.name) - 8:
        for plane, part in zip(planes, parts, strict=True):
            part[:] = cv2.resize(plane, part.shape[::-1], interpolation=cv2.INTER_NEAREST) >> shift
    else:
        for plane, part in zip(planes, parts, strict=True):
            cv2.resize(plane, part.shape[::-1], part, interpolation=cv2.INTER_NEAREST)


def _scaled(pictures: Sequence[Picture], size: tuple[int, int]) -> np.ndarray:
    """BGR (n, height, width, 3) of `size` by swscale, for palettes, packed and grey pictures."""
    wanted = {"width": size[0], "height": size[1], "format": "bgr24", "interpolation": "AREA", "threads": 1}
    return np.stack([picture.frame.reformat(**wanted).to_ndarray() for picture in pictures])
