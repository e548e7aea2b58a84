"""What four hours of video take in memory: a real file of 432,000 frames through the decode pass, the shots and the choice of keyframes.

The pictures are few (two slides in turn, two minutes each) and small, so that the file is made in a moment; neither matters to memory, which
must not grow with the length. Of the child its peak is told; of this process how much more memory of its own it held at most
(pages of mapped files, which the kernel drops when it likes, are not counted).
"""

import subprocess
import tempfile
from pathlib import Path

import av
import numpy as np

from bench.video_common import cpu_s, keep, transnet
from khung.keyframes.pick import pick
from khung.settings import ExtractionSettings, MediaLimits
from khung.shots.detect import detect
from khung.video.extract import Extraction, extract

HOURS, FPS, SIZE, SLIDE_S = 4, 30, (160, 90), 120
SETTINGS = ExtractionSettings()


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        rows = [measure(hours, Path(scratch)) for hours in (HOURS / 48, HOURS)]
    keep("video_memory", {"Memory: four hours of video": rows}, [])


def measure(hours: float, scratch: Path) -> dict:
    video = slides(scratch / f"{hours}.mp4", hours)
    extraction = extract(video, scratch / f"{hours}", MediaLimits(), SETTINGS)
    network, most = transnet("int8"), 0
    before = own_bytes()

    def look(_: int) -> None:
        nonlocal most
        most = max(most, own_bytes())

    found: list = []
    seconds = cpu_s(lambda: found.extend(shots_and_keyframes(extraction, network, look)))
    look(0)
    return {
        "hours": round(hours, 2),
        "frames": extraction.frame_count,
        "decoder's peak, MiB": round(extraction.peak_bytes / 2**20),
        "beside it, for shots and keyframes, MiB": round((most - before) / 2**20),
        "decode pass, CPU s": round(extraction.cpu_s),
        "shots and keyframes, CPU s": round(seconds),
        "shots": len(found[0]),
        "keyframes": len(found[1]),
    }


def shots_and_keyframes(extraction: Extraction, network, progress) -> tuple[list, list]:
    shots, signals = detect("v", extraction, network, SETTINGS, progress)
    return shots, pick("v", shots, signals, extraction.candidates, SETTINGS)


def own_bytes() -> int:
    """Memory of this process that no file stands behind."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("RssAnon:"))
    return int(line.split()[1]) * 1024


def slides(path: Path, hours: float) -> Path:
    """The same two slides over and over, for so long."""
    unit = path.with_name("unit.mp4")
    if not unit.exists():
        encode(unit)
    times = round(hours * 3600 / (2 * SLIDE_S))
    command = ["ffmpeg", "-v", "error", "-stream_loop", str(times - 1), "-i", unit, "-c", "copy", path]
    subprocess.run(command, check=True)
    return path


def encode(path: Path) -> None:
    rng = np.random.default_rng(3)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "g": str(10 * FPS)})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for _ in range(2):
            slide = np.kron(rng.integers(0, 255, (9, 16, 3), np.uint8), np.ones((10, 10, 1), np.uint8))
            for _ in range(SLIDE_S * FPS):
                out.mux(stream.encode(av.VideoFrame.from_ndarray(slide, "rgb24")))
        out.mux(stream.encode())


if __name__ == "__main__":
    main()
