"""What browsers play, and a copy that they do play of what they do not.

The verdict needs no decoding but the first frame's format. The copy is made in the sandboxed child (transcode.py): H.264 4:2:0
and AAC in an MP4 whose index stands first, with the same frames at the same times, so that a player shows the very frame.
Where the copy is kept is the archive's business.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from khung.errors import MediaError
from khung.stores.scratch import scratch_folder
from khung.video.formats import sniff
from khung.video.probe import BASE_CPU_S, BASE_WALL_S
from khung.video.sandbox import ChildLimits, Progress, run

if TYPE_CHECKING:
    from khung.settings import MediaLimits

RECIPE = "x264-veryfast-crf23-1920-aac128-1"
"""Of the copies; another recipe makes the old ones stale."""

ENCODING_COSTS = 2.0
"""Times the CPU and wall time that decoding alone is allowed."""

_EIGHT_BITS = frozenset({"yuv420p", "yuvj420p"})
_TEN_BITS = _EIGHT_BITS | {"yuv420p10le"}
_PICTURES = {
    "h264": _EIGHT_BITS,
    "vp8": _EIGHT_BITS,
    "libvpx": _EIGHT_BITS,
    "vp9": _TEN_BITS,
    "libvpx-vp9": _TEN_BITS,
    "av1": _TEN_BITS,
    "libdav1d": _TEN_BITS,
    "libaom-av1": _TEN_BITS,
}
"""Decoder → the pixel formats that the usual browsers show without help from the machine. H.265 is not among them: it takes hardware."""

_WEBM = frozenset({"vp8", "libvpx", "vp9", "libvpx-vp9", "av1", "libdav1d", "libaom-av1"})


@dataclass(frozen=True, slots=True)
class Copy:
    """What the child says of a copy. `warnings`: e.g. that the sound could not be taken along."""

    frames: int
    size_bytes: int
    sound: bool
    warnings: tuple[str, ...]
    cpu_s: float


def plays(demuxer: str, suffix: str, codec: str, pixel_format: str) -> bool:
    """Do the usual browsers play the file itself? `suffix` as in `.webm`: Matroska counts only under that name."""
    if demuxer not in ("mov", "matroska") or pixel_format not in _PICTURES.get(codec, ()):
        return False
    return demuxer == "mov" or (suffix.lower() == ".webm" and codec in _WEBM)


@contextmanager
def playable_copy(
    path: Path, limits: "MediaLimits", duration_s: float, progress: Progress | None = None
) -> Iterator[tuple[Path, Copy]]:
    """`with playable_copy(path, limits, duration_s) as (copy, told):` a temporary file, there until the block ends.

    Raises MediaError with a stable reason; `no_frames` when nothing could be encoded.
    """
    with scratch_folder("copy") as folder:
        target = folder / "copy.mp4"
        request = {
            "path": str(path.resolve()),
            "demuxer": sniff(path),
            "limits": limits.model_dump(),
            "target": str(target),
        }
        child = ChildLimits(
            memory_bytes=limits.memory_bytes,
            cpu_s=BASE_CPU_S + ENCODING_COSTS * limits.cpu_s_per_video_s * duration_s,
            wall_s=BASE_WALL_S + ENCODING_COSTS * limits.wall_s_per_video_s * duration_s,
        )
        answer = run("khung.video.transcode:transcode", request, child, progress)
        if not target.is_file():
            raise MediaError("no_frames", "No playable copy came about.")
        told = Copy(
            answer["frames"], target.stat().st_size, answer["sound"], tuple(answer["warnings"]), answer["cpu_s"]
        )
        yield target, told
