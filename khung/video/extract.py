"""The decode pass of one video, in a sandboxed child: signals, 48×27 pictures and candidate masters in a folder.

```
small.rgb              27×48×3 bytes a frame, RGB
signals.npz            pts_ms int64; content, change, flow, sharpness, brightness, entropy float32: all (frames,)
candidates/*.jpg       masters, and candidates.json
```
Nothing here decides what a shot or a keyframe is.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from khung.stores.arrays import load_all
from khung.video.candidates import Candidate, read_candidates
from khung.video.chunk import SMALL
from khung.video.formats import sniff
from khung.video.probe import BASE_CPU_S, BASE_WALL_S, probe
from khung.video.sandbox import ChildLimits, Progress, run

if TYPE_CHECKING:
    from khung.settings import ExtractionSettings, MediaLimits

GPU_ADDRESS_SPACE = 2**42  # CUDA reserves address space for all memory of the machine: there, it cannot be limited


@dataclass(frozen=True)
class Extraction:
    """What the decode pass left in `folder`. All signals have one value a frame."""

    folder: Path
    source: Path
    demuxer: str
    limits: "MediaLimits"
    frame_count: int
    duration_ms: int
    width: int
    height: int
    fps_num: int
    fps_den: int
    vfr: bool
    sequence_hash: str
    warnings: tuple[str, ...]
    network: str  # "none", or "shared" where the kernel does not let the decoder drop it
    decoder: str  # that was used: cpu or nvdec
    cpu_s: float  # of the child
    peak_bytes: int  # its largest resident memory

    @property
    def candidates_dir(self) -> Path:
        return self.folder / "candidates"

    @cached_property
    def signals(self) -> dict[str, np.ndarray]:
        return load_all(self.folder / "signals.npz")

    @property
    def pts_ms(self) -> np.ndarray:
        return self.signals["pts_ms"]

    @cached_property
    def small(self) -> np.ndarray:
        """RGB uint8 (frames, 27, 48, 3), memory-mapped."""
        return np.memmap(self.folder / "small.rgb", np.uint8, "r", shape=(self.frame_count, SMALL[1], SMALL[0], 3))

    @property
    def candidates(self) -> list[Candidate]:
        """By frame; read anew, because `fetch` adds to them."""
        return read_candidates(self.candidates_dir)

    def fetch(self, frame_indices: Iterable[int]) -> None:
        """Add these frames to the candidates, by a second pass up to the last of them."""
        request = {"folder": str(self.folder), "frames": sorted(frame_indices)}
        _run("fetch_frames", self.source, self.demuxer, self.limits, self.duration_ms / 1000, request)


def extract(
    path: Path,
    folder: Path,
    limits: "MediaLimits",
    settings: "ExtractionSettings",
    progress: Progress | None = None,
    *,
    duration_s: float | None = None,
) -> Extraction:
    """Decode the video once, in a child, into `folder` (best a fresh one).

    `duration_s` (of `probe`, which is asked when it is None) sets the child's CPU and wall time. `progress` gets
    `{"frames": n, "pts_ms": t}` about once a second. Raises MediaError with a stable reason.
    """
    demuxer = sniff(path)
    if duration_s is None:
        duration_s = probe(path, limits).duration_ms / 1000
    folder = folder.resolve()
    (folder / "candidates").mkdir(parents=True, exist_ok=True)
    decoder = settings.decoder if gpu_at_hand() else "cpu"
    request = {"folder": str(folder), "max_fps": settings.max_fps, "decoder": decoder}
    answer = _run("decode_all", path, demuxer, limits, duration_s, request, progress)
    answer["warnings"] = tuple(answer["warnings"])
    return Extraction(folder=folder, source=path, demuxer=demuxer, limits=limits, **answer)


def gpu_at_hand() -> bool:
    """Is there the device file of an NVIDIA driver? Without one a decoder on the GPU is not even tried, and memory stays limited."""
    return any(Path(device).exists() for device in ("/dev/nvidiactl", "/dev/dxg"))


def _run(
    task: str,
    path: Path,
    demuxer: str,
    limits: "MediaLimits",
    duration_s: float,
    request: dict,
    progress: Progress | None = None,
) -> dict:
    request |= {"path": str(path.resolve()), "demuxer": demuxer, "limits": limits.model_dump()}
    child = ChildLimits(
        memory_bytes=GPU_ADDRESS_SPACE if request.get("decoder") == "nvdec" else limits.memory_bytes,
        cpu_s=BASE_CPU_S + limits.cpu_s_per_video_s * duration_s,
        wall_s=BASE_WALL_S + limits.wall_s_per_video_s * duration_s,
    )
    return run(f"khung.video.tasks:{task}", request, child, progress)
