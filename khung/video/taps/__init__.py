"""One concept a file: each tap looks at every frame of the one decode pass and keeps what it needs.

A tap measures into `chunk.scores` (those become the per-frame signals), writes files into the output folder, or both. Taps
run in a fixed order, so a later one may use an earlier one's score. They run in the sandboxed child only.
"""

from typing import Protocol

from khung.video.chunk import Chunk


class Tap(Protocol):
    """Sees every frame once, in display order, a few at a time."""

    def see(self, chunk: Chunk) -> None: ...

    def close(self) -> None:
        """After the last frame: flush, write what is held back."""
        ...
