"""Writes the 48×27 pictures that TransNetV2 reads, one after another, as raw RGB bytes: a file to be memory-mapped."""

from pathlib import Path

from khung.video.chunk import Chunk


class SmallTap:
    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def see(self, chunk: Chunk) -> None:
        self._file.write(chunk.small.data)

    def close(self) -> None:
        self._file.close()
