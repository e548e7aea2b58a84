"""Keeps the frames that may become keyframes, as JPEG masters: the sharpest of each window of `1 / max_fps` seconds.

A window also ends where the picture jumps, so that a short shot between two hard cuts has a frame of its own. While the picture stands
still a frame every two seconds is enough: masters are what costs most beside decoding. Of a window only the best frame so far is held,
whatever its length.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from khung.video.candidates import Candidate
from khung.video.chunk import Chunk
from khung.video.phash import phash_many
from khung.video.views import Picture

MASTER_SIDE = 1920  # pixels of a master's longer side at most
MASTER_QUALITY = 95  # JPEG
STILL_MS = 2000  # from one frame of a still picture to the next: that of a shot's slowest rate, half a frame a second
SAME = (
    16  # of 255: no pixel of two 96×54 pictures differs by more, so not even a small thing has come or a word changed
)
SHARPER = 1.05  # times as sharp as the last one is worth keeping, though it shows the same
TOGETHER = 16  # are hashed at once, for a third of what each alone would cost


@dataclass(frozen=True, slots=True)
class _Seen:
    """A frame with what a candidate must know of it."""

    picture: Picture
    grey: np.ndarray
    sharpness: float


class CandidateTap:
    def __init__(self, folder: Path, max_fps: float) -> None:
        self.window_ms = 1000 / max_fps
        self.writer = MasterWriter(folder)
        self._best: _Seen | None = None
        self._last: tuple[int, np.ndarray, float] | None = (
            None  # pts_ms, grey picture and sharpness of the frame last written
        )
        self._window = 0

    @property
    def kept(self) -> list[Candidate]:
        """By frame; whole after `close`."""
        return self.writer.written

    def see(self, chunk: Chunk) -> None:
        sharpness, jumps = chunk.scores["sharpness"].tolist(), chunk.jumps.tolist()
        for position, picture in enumerate(chunk.pictures):
            window = int(picture.pts_ms / self.window_ms)
            if window != self._window or jumps[position]:
                self._write_best()
                self._window = window
            if self._best is None or sharpness[position] > self._best.sharpness:
                self._best = _Seen(picture, chunk.grey[position], sharpness[position])

    def close(self) -> None:
        """Write the last window's best frame."""
        self._write_best()
        self.writer.close()

    def _write_best(self) -> None:
        best, self._best = self._best, None
        if best and not self._stands_still(best):
            grey = best.grey.copy()  # not the whole chunk's
            self.writer.write(best.picture, grey, best.sharpness)
            self._last = best.picture.pts_ms, grey, best.sharpness

    def _stands_still(self, best: _Seen) -> bool:
        """It shows what the frame last written shows, no better and not long after."""
        import cv2

        if self._last is None:
            return False
        pts_ms, grey, sharpness = self._last
        if best.picture.pts_ms >= pts_ms + STILL_MS or best.sharpness > SHARPER * sharpness:
            return False
        return cv2.norm(grey, best.grey, cv2.NORM_INF) <= SAME


class MasterWriter:
    """Writes frames as JPEG masters into `folder`. What is known of each is in `written`, of the last ones after `close`."""

    def __init__(self, folder: Path) -> None:
        from av.video.reformatter import VideoReformatter

        self.folder = folder
        self.written: list[Candidate] = []
        self._waiting: list[tuple[np.ndarray, int, int, float, str]] = []  # grey picture; frame, time, sharpness, file
        self._reformatter = VideoReformatter()

    def write(self, picture: Picture, grey: np.ndarray, sharpness: float) -> None:
        """The frame's master; `grey` is its 96×54 picture, which is kept."""
        import cv2

        name = f"{picture.index:08d}.jpg"
        master = picture.master(MASTER_SIDE, self._reformatter)
        _, data = cv2.imencode(".jpg", master, [cv2.IMWRITE_JPEG_QUALITY, MASTER_QUALITY])
        (self.folder / name).write_bytes(data)
        self._waiting.append((grey, picture.index, picture.pts_ms, sharpness, name))
        if len(self._waiting) == TOGETHER:
            self.close()

    def close(self) -> None:
        """Hash what waits for it."""
        if not self._waiting:
            return
        hashes = phash_many([grey for grey, *_ in self._waiting]).tolist()
        self.written += [
            Candidate(index, pts_ms, sharpness, look, name)
            for look, (_, index, pts_ms, sharpness, name) in zip(hashes, self._waiting, strict=True)
        ]
        self._waiting = []
