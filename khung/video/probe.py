"""What a file holds, before anything of it is kept: container, codec, size, rotation, rate, length.

All packets are read (not decoded, but for the first frame), so the numbers are the stream's and not the header's promise.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from khung.errors import MediaError
from khung.video.formats import sniff
from khung.video.sandbox import ChildLimits, run

if TYPE_CHECKING:
    from khung.settings import MediaLimits

BASE_CPU_S, BASE_WALL_S = 60.0, 120.0
READ_BYTES_PER_CPU_S, READ_BYTES_PER_S = 100e6, 10e6  # all packets are read, from a slow disk if need be


@dataclass(frozen=True, slots=True)
class Probe:
    """A file's facts, named as in `records.Video`. `frame_count` counts packets; the decode pass corrects it."""

    size_bytes: int
    container: str
    codec: str
    width: int
    height: int
    rotation: int
    fps_num: int
    fps_den: int
    vfr: bool
    frame_count: int
    duration_ms: int
    has_audio: bool
    pixel_format: str
    playable: bool  # by the usual browsers, as it is
    network: str  # "none", or "shared" where the kernel does not let the decoder drop it
    warnings: tuple[str, ...] = ()


def probe(path: Path, limits: "MediaLimits") -> Probe:
    """The file's facts, found in a sandboxed child. Raises MediaError with a stable reason."""
    demuxer = sniff(path)
    size = path.stat().st_size
    if size > limits.max_bytes:
        raise MediaError("too_large", f"The file has {size / 2**30:.1f} GiB.", cure="Raise KHUNG_MEDIA_MAX_BYTES.")
    request = {"path": str(path.resolve()), "demuxer": demuxer, "limits": limits.model_dump()}
    child = ChildLimits(
        memory_bytes=limits.memory_bytes,
        cpu_s=BASE_CPU_S + size / READ_BYTES_PER_CPU_S,
        wall_s=BASE_WALL_S + size / READ_BYTES_PER_S,
    )
    answer = run("khung.video.tasks:inspect", request, child)
    return Probe(size_bytes=size, **{**answer, "warnings": tuple(answer["warnings"])})
