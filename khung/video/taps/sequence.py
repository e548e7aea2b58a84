"""One perceptual hash a second: the first frame at or after each whole second. Together they know a re-encoded copy."""

import numpy as np

from khung.video.chunk import Chunk
from khung.video.phash import phash_many

TOGETHER = 16  # are hashed at once, for a third of what each alone would cost


class SequenceTap:
    """`hashes` are whole after `close`."""

    def __init__(self) -> None:
        self.hashes: list[int] = []
        self._waiting: list[tuple[np.ndarray, int]] = []  # grey picture, for how many seconds it stands
        self._seconds = 0

    def see(self, chunk: Chunk) -> None:
        for position, pts_ms in enumerate(chunk.pts_ms.tolist()):
            due = pts_ms // 1000 + 1 - self._seconds
            if due > 0:  # a frame that stays for seconds stands for each of them
                self._seconds += due
                self._waiting.append((chunk.grey[position].copy(), due))
        if len(self._waiting) >= TOGETHER:
            self.close()

    def close(self) -> None:
        """Hash what waits for it."""
        if self._waiting:
            greys, times = zip(*self._waiting, strict=True)
            self.hashes += phash_many(greys).repeat(times).tolist()
            self._waiting = []
