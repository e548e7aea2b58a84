"""One perceptual hash a second: the first frame at or after each whole second. Together they know a re-encoded copy."""

from khung.video.phash import phash
from khung.video.views import Picture


class SequenceTap:
    def __init__(self) -> None:
        self.hashes: list[int] = []

    def see(self, picture: Picture) -> None:
        due = picture.pts_ms // 1000 + 1 - len(self.hashes)
        if due > 0:
            self.hashes += [phash(picture.grey)] * due  # a frame that stays for seconds stands for each of them

    def close(self) -> None:
        """Nothing is held back."""
