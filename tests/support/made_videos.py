"""Makes small videos with known content: what a frame shows tells which frame it is, and which way is up."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

CORNERS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220), "white": (235, 235, 235)}


def numbered(index: int, width: int, height: int) -> np.ndarray:
    """RGB: red, green / blue, white quarters, and a dark bar whose place moves with the index."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = CORNERS["red"]
    picture[: height // 2, width // 2 :] = CORNERS["green"]
    picture[height // 2 :, : width // 2] = CORNERS["blue"]
    picture[height // 2 :, width // 2 :] = CORNERS["white"]
    at = index * 3 % max(1, width - 4)
    picture[height // 3 : height // 2, at : at + 4] = 10
    return picture


def make_video(
    path: Path,
    frames: int = 25,
    *,
    size: tuple[int, int] = (64, 48),
    rate: int = 25,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    rotation: float | None = None,
    times: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    aspect: Fraction | None = None,
    audio: bool = False,
    muxer_options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
    picture: Callable[[int, int, int], np.ndarray] = numbered,
) -> Path:
    """An encoded video of so many frames, `times` in ticks of `time_base` where they are not even."""
    with as_urgent_as_before(), av.open(str(path), "w", options=muxer_options or {}) as out:
        stream = out.add_stream(codec, rate=rate, options=codec_options or {})
        stream.width, stream.height, stream.pix_fmt = *size, pixel_format
        if time_base:
            stream.codec_context.time_base = time_base
        if rotation is not None:
            stream.set_display_rotation(rotation)
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        sound = out.add_stream("aac", rate=16000) if audio else None
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(index, *size), "rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[index], time_base or Fraction(1, rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
        if sound:
            silence(out, sound, frames / rate)
    return path


@contextmanager
def as_urgent_as_before() -> Iterator[None]:
    """SVT-AV1 makes the thread that starts it real-time where it may (as root), for good: every later test, and all servers and browsers
    that it starts, would let nothing else run for as long as they compute."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)


def silence(out: av.container.OutputContainer, stream: av.AudioStream, seconds: float) -> None:
    for part in range(0, max(1024, int(16000 * seconds)), 1024):
        quiet = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        quiet.sample_rate, quiet.pts = 16000, part
        out.mux(stream.encode(quiet))
    out.mux(stream.encode())


def make_sound(path: Path, streams: int = 1) -> Path:
    """A file with silence and no picture."""
    with av.open(str(path), "w") as out:
        for stream in [out.add_stream("aac", rate=16000) for _ in range(streams)]:
            silence(out, stream, 0.2)
    return path
