"""Keeps the frames that may become keyframes, as JPEG masters: the sharpest of each window of `1 / max_fps` seconds.

A window also ends where the picture jumps, so that a short shot between two hard cuts has a frame of its own. Of a window
only the best frame so far is held, whatever its length.
"""

from pathlib import Path

from khung.video.candidates import Candidate
from khung.video.phash import phash
from khung.video.views import Picture

MASTER_SIDE = 1920  # pixels of a master's longer side at most
MASTER_QUALITY = 95  # JPEG


class CandidateTap:
    def __init__(self, folder: Path, max_fps: float) -> None:
        self.folder, self.window_ms = folder, 1000 / max_fps
        self.kept: list[Candidate] = []
        self._best: Picture | None = None
        self._window = 0

    def see(self, picture: Picture) -> None:
        window = int(picture.pts_ms / self.window_ms)
        if window != self._window or picture.jumps:
            self.close()
            self._window = window
        if self._best is None or picture.scores["sharpness"] > self._best.scores["sharpness"]:
            self._best = picture

    def close(self) -> None:
        """Write the window's best frame."""
        if best := self._best:
            self.kept.append(write_candidate(best, self.folder))
            self._best = None


def write_candidate(picture: Picture, folder: Path) -> Candidate:
    """The frame's JPEG master in `folder`, and what is known of it."""
    import cv2

    name = f"{picture.index:08d}.jpg"
    _, data = cv2.imencode(".jpg", picture.master(MASTER_SIDE), [cv2.IMWRITE_JPEG_QUALITY, MASTER_QUALITY])
    (folder / name).write_bytes(data.tobytes())
    return Candidate(picture.index, picture.pts_ms, picture.scores["sharpness"], phash(picture.grey), name)
