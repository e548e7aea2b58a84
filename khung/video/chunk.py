"""What taps see: a few consecutive frames at once, with small pictures made straight from their planes.

Converting 720p to RGB costs as much as decoding it, so the three planes are first thinned to 192×108 (planes.py). All else is done
for the frames of a chunk together, one below the other, so that what a call costs is shared: the planes are halved by area (nothing of one
picture reaches another) and converted to colours at 96×54; halved once more, 48×27 gives TransNetV2 the cuts of a full area scaling. Colours
of small pictures are BT.601's, which differs too little from BT.709 to move a cut. The chunk's length never changes a result. The evidence is in
docs/decisions/0100. Runs in the sandboxed child only.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain, groupby, islice

import numpy as np

from khung.video.planes import sharpness, thin
from khung.video.views import Picture, upright

MEDIUM = (96, 54)  # width, height of the pictures that the content, motion, quality and hash taps see
SMALL = (48, 27)  # of TransNetV2's input
FRAMES = 16  # of a chunk at most: what a call costs is shared, and the processor's cache holds their small pictures
MAX_BYTES = 100 * 10**6  # that a chunk's frames may hold: sixteen of 1080p, four of 2160p, in up to three bytes a pixel

_JPEG_RANGE = 2


class Chunk:
    """Consecutive frames of one form, at least one. `scores` collects what taps measure, float `(n,)` each.

    `sharpness` is that of each frame, over the largest value its brightness can have; `jumps` (bool, `(n,)`) marks frames that look like the
    first after a hard cut. `pictures` are read as they come, `room` of them at most.
    """

    def __init__(self, pictures: Iterable[Picture], room: int) -> None:
        self.pictures: list[Picture] = []
        self.sharpness = np.zeros(room)
        self._thinned: tuple[np.ndarray, ...] = ()  # Y (room, 2 h, 2 w); U and V (room, h, w)
        for picture in islice(pictures, room):
            self._read(picture, room)
        self.sharpness = self.sharpness[: len(self)]
        self.pts_ms = np.array([picture.pts_ms for picture in self.pictures], np.int64)
        self.scores: dict[str, np.ndarray] = {}
        self.jumps = np.zeros(len(self), bool)

    def __len__(self) -> int:
        return len(self.pictures)

    def _read(self, picture: Picture, room: int) -> None:
        """What is wanted of the full-size planes."""
        place = len(self.pictures)
        self.pictures.append(picture)
        if planes := picture.planes:
            if not place:
                width, height = self._stored_size
                self._thinned = (
                    np.empty((room, 2 * height, 2 * width), np.uint8),
                    *np.empty((2, room, height, width), np.uint8),
                )
            thin(planes, picture.frame, tuple(part[place] for part in self._thinned))
        self.sharpness[place] = sharpness(picture.luma) / picture.luma_max

    @property
    def _stored_size(self) -> tuple[int, int]:
        """(width, height) of `medium` before it is turned upright."""
        return MEDIUM[::-1] if self.pictures[0].turns % 2 else MEDIUM

    @cached_property
    def medium(self) -> np.ndarray:
        """BGR uint8 (n, 54, 96, 3), upright."""
        bgr = self._halved() if self._thinned else self._scaled()
        return upright(bgr, self.pictures[0].turns)

    @cached_property
    def grey(self) -> np.ndarray:
        """uint8 (n, 54, 96)."""
        import cv2

        return cv2.cvtColor(_stacked(self.medium), cv2.COLOR_BGR2GRAY).reshape(self.medium.shape[:3])

    @cached_property
    def hsv(self) -> np.ndarray:
        """uint8 (n, 54, 96, 3)."""
        import cv2

        return cv2.cvtColor(_stacked(self.medium), cv2.COLOR_BGR2HSV).reshape(self.medium.shape)

    @cached_property
    def small(self) -> np.ndarray:
        """RGB uint8 (n, 27, 48, 3)."""
        import cv2

        width, height = SMALL
        half = cv2.resize(_stacked(self.medium), (width, height * len(self)), interpolation=cv2.INTER_AREA)
        return cv2.cvtColor(half, cv2.COLOR_BGR2RGB).reshape(len(self), height, width, 3)

    def _halved(self) -> np.ndarray:
        """BGR (n, height, width, 3), as stored, from the thinned planes: those of colour end at half the size, as I420 has them."""
        import cv2

        (width, height), count = self._stored_size, len(self)
        i420 = np.empty((count * height * 3 // 2, width), np.uint8)
        parts = i420[: count * height], *i420[count * height :].reshape(2, -1, width // 2)
        for thinned, part in zip(self._thinned, parts, strict=True):
            cv2.resize(_stacked(thinned[:count]), part.shape[::-1], part, interpolation=cv2.INTER_AREA)
        frame = self.pictures[0].frame
        if frame.color_range == _JPEG_RANGE or "yuvj" in frame.format.name:  # OpenCV reads the studio range
            cv2.convertScaleAbs(parts[0], parts[0], alpha=219 / 255, beta=16)
            for part in parts[1:]:
                cv2.convertScaleAbs(part, part, alpha=224 / 255, beta=128 * (1 - 224 / 255))
        return cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420).reshape(count, height, width, 3)

    def _scaled(self) -> np.ndarray:
        """The same by swscale, for palettes, packed and grey pictures."""
        width, height = self._stored_size
        wanted = {"width": width, "height": height, "format": "bgr24", "interpolation": "AREA", "threads": 1}
        return np.stack([picture.frame.reformat(**wanted).to_ndarray() for picture in self.pictures])


def chunks(pictures: Iterable[Picture], frames: int = FRAMES) -> Iterator[Chunk]:
    """The pictures in chunks of at most so many; a new one begins where the form changes."""
    for _, run in groupby(pictures, lambda picture: picture.form):
        alike = iter(run)
        while first := next(alike, None):
            room = max(1, min(frames, MAX_BYTES // (3 * first.frame.width * first.frame.height)))
            yield Chunk(chain([first], alike), room)


def _stacked(pictures: np.ndarray) -> np.ndarray:
    """One below the other."""
    return pictures.reshape(-1, *pictures.shape[2:])
