"""One pass over a video: every frame is decoded once and shown to every tap. Runs in the sandboxed child only.

Memory does not grow with the video but by a few numbers a frame: what must be kept goes to files in the output folder.
"""

import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import chain

import numpy as np

from khung.errors import MediaError
from khung.video.chunk import FRAMES, Chunk, chunks
from khung.video.source import Source
from khung.video.taps import Tap
from khung.video.views import Picture

REPORT_EVERY_S = 1.0

Report = Callable[[int, int], None]  # frames so far, pts_ms


class Signals:
    """The taps' scores of every frame, as columns."""

    def __init__(self) -> None:
        self.size = (0, 0)  # width, height of the first frame as shown
        self.pts_ms = array("q")
        self.columns: dict[str, array] = {}

    def add(self, chunk: Chunk) -> None:
        self.size = self.size if self.pts_ms else chunk.pictures[0].size
        self.pts_ms.frombytes(chunk.pts_ms.tobytes())
        for name, values in chunk.scores.items():
            self.columns.setdefault(name, array("f")).frombytes(values.astype(np.float32).tobytes())

    def arrays(self) -> dict[str, np.ndarray]:
        """`pts_ms` int64 and each score float32, all `(frames,)`."""
        scores = {name: np.array(column, np.float32) for name, column in self.columns.items()}
        return {"pts_ms": np.array(self.pts_ms, np.int64), **scores}


def decode(source: Source, taps: Sequence[Tap], report: Report, chunk_frames: int = FRAMES) -> Signals:
    """Show every frame to every tap. Raises MediaError `no_frames` and those of the source."""
    import cv2

    cv2.setNumThreads(1)  # one worker a core: threads inside cost more than they bring
    signals = Signals()
    reported = time.monotonic()
    for chunk in chunks(pictures(source), chunk_frames):
        for tap in taps:
            tap.see(chunk)
        signals.add(chunk)
        if time.monotonic() - reported >= REPORT_EVERY_S:
            reported = time.monotonic()
            report(len(signals.pts_ms), int(chunk.pts_ms[-1]))
    for tap in taps:
        tap.close()
    return signals


def pictures(source: Source) -> Iterable[Picture]:
    """The frames as upright pictures, at least one. Raises MediaError `no_frames`."""
    aspect = float(source.stream.sample_aspect_ratio or 1)
    frames = iter(source.frames())
    first = next(frames, None)
    if first is None:
        raise MediaError("no_frames", "Not one frame could be decoded.", cure="The file may be cut off or damaged.")
    for index, (pts_ms, frame) in enumerate(chain([first], frames)):
        yield Picture(index, pts_ms, frame, aspect)
