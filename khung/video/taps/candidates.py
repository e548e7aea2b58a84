"""Keeps the frames that may become keyframes, as JPEG masters: the sharpest of each window of `1 / max_fps` seconds.

A window also ends where the picture jumps, so that a short shot between two hard cuts has a frame of its own. Of a window
only the best frame so far is held, whatever its length.
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
        if best := self._best:
            self.writer.write(best.picture, best.grey, best.sharpness)
            self._best = None


class MasterWriter:
    """Writes frames as JPEG masters into `folder`. What is known of each is in `written`, of the last ones after `close`."""

    def __init__(self, folder: Path) -> None:
        from av.video.reformatter import VideoReformatter

        self.folder = folder
        self.written: list[Candidate] = []
        self._waiting: list[tuple[np.ndarray, int, int, float, str]] = []  # grey picture; frame, time, sharpness, file
        self._reformatter = VideoReformatter()

    def write(self, picture: Picture, grey: np.ndarray, sharpness: float) -> None:
        """The frame's master; `grey` is its 96×54 picture."""
        import cv2

        name = f"{picture.index:08d}.jpg"
        master = picture.master(MASTER_SIDE, self._reformatter)
        _, data = cv2.imencode(".jpg", master, [cv2.IMWRITE_JPEG_QUALITY, MASTER_QUALITY])
        (self.folder / name).write_bytes(data)
        self._waiting.append((grey.copy(), picture.index, picture.pts_ms, sharpness, name))  # not the whole chunk's
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
