"""One perceptual hash a second: the first frame at or after each whole second. Together they know a re-encoded copy."""

from khung.video.chunk import Chunk
from khung.video.phash import phash


class SequenceTap:
    def __init__(self) -> None:
        self.hashes: list[int] = []

    def see(self, chunk: Chunk) -> None:
        for position, pts_ms in enumerate(chunk.pts_ms.tolist()):
            due = pts_ms // 1000 + 1 - len(self.hashes)
            if due > 0:
                self.hashes += [
                    phash(chunk.grey[position])
                ] * due  # a frame that stays for seconds stands for each of them

    def close(self) -> None:
        """Nothing is held back."""
