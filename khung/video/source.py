"""Opens one stranger's file and gives its pictures with their times. Runs in the sandboxed child only.

Frames come in display order, numbered from 0; a frame's time is in milliseconds from the first frame's display time. What is
damaged is stepped over and remembered in `warnings`; what cannot be used at all is a MediaError.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from khung.errors import MediaError
from khung.video.formats import CODECS, CONTAINER_OPTIONS, container_name
from khung.video.timing import Clock

if TYPE_CHECKING:
    import av

_ROOM = 16  # bytes a pixel: two pictures of the deepest formats
PROBE_OPTIONS = {"probesize": "5000000", "analyzeduration": "5000000"}


@dataclass(slots=True)
class Source:
    """An open file: its container and the one video stream that is read."""

    container: "av.container.InputContainer"
    stream: "av.video.stream.VideoStream"
    limits: dict
    warnings: set[str] = field(default_factory=set)
    clock: Clock | None = None  # of `frames`: it knows the last one's exact time
    _last_tick: int = -(2**63)
    _last_ticks: int = 0  # how long the packet of that time is shown

    @property
    def codec(self) -> str:
        return self.stream.codec_context.codec.name

    @property
    def decoder(self) -> str:
        """Where it decodes: `nvdec` or `cpu`."""
        return "nvdec" if self.stream.codec_context.is_hwaccel else "cpu"

    def packets(self) -> Iterator["av.packet.Packet"]:
        """The stream's packets; a demuxer that stumbles ends them with a warning. Raises MemoryError."""
        import av

        try:
            for packet in self.container.demux(self.stream):
                if packet.pts is not None and packet.pts > self._last_tick and packet.size and not packet.is_discard:
                    self._last_tick, self._last_ticks = packet.pts, packet.duration or 0
                yield packet
        except av.error.FFmpegError as error:
            self._step_over(error, "truncated_tail")

    @property
    def last_ms(self) -> float:
        """How long the file says that its last picture is shown, of the packets read so far; 0 when it says nothing. A lecture's last slide
        may stand for minutes."""
        return float(self._last_ticks * self.stream.time_base * 1000)

    def frames(self) -> Iterator[tuple[int, "av.VideoFrame"]]:
        """`(pts_ms, frame)` in display order. Raises MediaError `too_many_pixels` and `too_long`, and MemoryError."""
        import av

        clock = self.clock = Clock(self.stream.time_base, self.stream.guessed_rate)
        for packet in self.packets():
            try:
                decoded = packet.decode()
            except av.error.FFmpegError as error:
                self._step_over(error, "damaged_frames")
                continue
            for frame in decoded:
                check_size(frame.width, frame.height, self.limits)
                pts_ms = clock.read(frame.pts, frame.duration)
                check_duration(pts_ms / 1000, self.limits)
                yield pts_ms, frame
        if clock.repaired:
            self.warnings.add("repaired_times")

    def _step_over(self, error: "av.error.FFmpegError", warning: str) -> None:
        """Go on behind what is damaged; but a decoder that gets no buffer for a picture calls that damage, too, and MemoryError is raised when
        there is hardly room for another."""
        if isinstance(error, MemoryError):
            raise error
        context = self.stream.codec_context
        np.empty(_ROOM * context.width * context.height, np.uint8)
        self.warnings.add(warning)


@contextmanager
def open_source(path: Path, demuxer: str, limits: dict, decoder: str = "cpu") -> Iterator[Source]:
    """The file, opened by that demuxer alone. `decoder="nvdec"` asks for the GPU's, where there is one that knows the codec.

    Raises MediaError `unreadable`, `no_video_stream`, `unsupported_codec`, `too_many_streams`, `too_many_pixels`.
    """
    import av

    try:
        container = _open(path, demuxer, decoder)
    except av.error.MemoryError:
        raise
    except (av.error.FFmpegError, OSError) as error:
        raise MediaError(
            "unreadable",
            f"The container ({container_name(demuxer)}) cannot be read: {getattr(error, 'strerror', None) or error}.",
            cure="The upload may be incomplete, or the file damaged.",
        ) from error
    with container:
        yield Source(container, _pick(container, limits), limits)


def _open(path: Path, demuxer: str, decoder: str) -> "av.container.InputContainer":
    """With the GPU's decoder where it is asked for and at hand, else without."""
    import av

    options = {**CONTAINER_OPTIONS, **PROBE_OPTIONS}
    from av.codec.hwaccel import HWAccel, hwdevices_available

    if decoder == "nvdec" and "cuda" in hwdevices_available():
        with suppress(
            av.error.FFmpegError
        ):  # no driver, no device, or a file that the next attempt will name unreadable
            gpu = HWAccel("cuda", allow_software_fallback=True)  # a codec that the GPU does not know runs on the CPU
            return av.open(str(path), format=demuxer, options=options, metadata_errors="replace", hwaccel=gpu)
    return av.open(str(path), format=demuxer, options=options, metadata_errors="replace")


def _pick(container: "av.container.InputContainer", limits: dict) -> "av.video.stream.VideoStream":
    """The first video stream that is no cover picture, ready to decode on one thread."""
    import av

    if len(container.streams) > limits["max_streams"]:
        raise MediaError("too_many_streams", f"The file has {len(container.streams)} streams.")
    covers = av.stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & covers]
    if not streams:
        raise MediaError("no_video_stream", "The file has no video stream, perhaps sound alone.")
    stream = streams[0]
    if stream.codec_context is None or stream.codec_context.codec.name not in CODECS:
        name = stream.codec_context.codec.name if stream.codec_context else "unknown"
        raise MediaError(
            "unsupported_codec", f"The codec “{name}” is not decoded.", cure="Re-encode it, e.g. to H.264."
        )
    check_size(stream.codec_context.width, stream.codec_context.height, limits)
    stream.codec_context.thread_type = "NONE"  # one worker a core: threads inside cost more than they bring
    stream.codec_context.options = {"max_pixels": str(limits["max_pixels"])}
    return stream


def check_size(width: int, height: int, limits: dict) -> None:
    if width * height > limits["max_pixels"]:
        raise MediaError("too_many_pixels", f"A picture of {width}×{height} is beyond the limit.")


def check_duration(duration_s: float, limits: dict) -> None:
    if duration_s > limits["max_duration_s"]:
        raise MediaError(
            "too_long",
            f"The video runs longer than {limits['max_duration_s'] / 3600:g} h.",
            cure="Cut it, or raise KHUNG_MEDIA_MAX_DURATION_S.",
        )
