"""The whole extraction without embedding, as users run it: children, files and all. CPU seconds a stage, × real time, and two workers."""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.video_common import CLIPS, busy_s, by_size, cpu_s, extracted, ffmpeg_cpu_s, keep, transnet
from khung.keyframes.images import render
from khung.keyframes.pick import pick
from khung.settings import ExtractionSettings, MediaLimits
from khung.shots.detect import detect
from khung.video.extract import extract

LIMITS, SETTINGS = MediaLimits(), ExtractionSettings()


def main() -> None:
    rows = [whole(clip) for clip in by_size()]
    keep("video_whole", {"Speed: the whole extraction, without embedding": rows}, workers())


def whole(clip: Path) -> dict:
    """CPU seconds a stage, and how many times faster than the video plays on one core. Short clips are repeated up to two minutes,
    as what starts a child (half a second) is nothing to a video of usual length."""
    with tempfile.TemporaryDirectory() as scratch:
        video = repeated(clip, Path(scratch))
        extraction = extract(video, Path(scratch) / "out", LIMITS, SETTINGS)
        answer: dict = {}
        network = transnet("int8")
        shots_s = cpu_s(
            lambda: answer.update(zip(("shots", "signals"), detect("v", extraction, network, SETTINGS), strict=True))
        )
        chosen = pick("v", answer["shots"], answer["signals"], extraction.candidates, SETTINGS)
        files = {candidate.frame_index: candidate.file for candidate in extraction.candidates}
        masters = [(extraction.candidates_dir / files[keyframe.frame_index]).read_bytes() for keyframe in chosen]
        pictures_s = cpu_s(lambda: [render(master) for master in masters])
    seconds = extraction.duration_ms / 1000
    speed = seconds / (extraction.cpu_s + shots_s + pictures_s)
    return {
        "clip": clip.stem,
        "size": f"{extraction.width}×{extraction.height}",
        "seconds of video": round(seconds, 1),
        "decode pass, CPU s": round(extraction.cpu_s, 2),
        "shots (8 bits), CPU s": round(shots_s, 2),
        "pictures, CPU s": round(pictures_s, 2),
        "keyframes": len(chosen),
        "× real time a core": round(speed, 1),
        "cores busy all day for 500 h a day": round(500 / 24 / speed, 1),
    }


def repeated(clip: Path, folder: Path) -> Path:
    """The clip over and over, two minutes or more."""
    times = int(120_000 / extracted(clip).duration_ms) + 1
    video = folder / clip.name
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-stream_loop",
        str(times - 1),
        "-i",
        clip,
        "-map",
        "0:v:0",
        "-c",
        "copy",
        video,
    ]
    subprocess.run(command, check=True)
    return video


def workers() -> list[str]:
    """How much more two workers extract than one, how much more two FFmpegs decode, and what others had of the machine meanwhile."""
    clip, cores = CLIPS / "cockatoo_cc0.mp4", len(os.sched_getaffinity(0))
    works = {
        "workers extract": lambda folder: extract(clip, folder, LIMITS, SETTINGS, duration_s=14),
        "FFmpegs decode": lambda folder: ffmpeg_cpu_s(clip),
    }
    walls: dict[tuple[str, int], list[float]] = {(name, count): [] for name in works for count in (1, 2)}
    others = 0.0
    for _ in range(3):
        for (name, count), all_of in walls.items():
            start, busy, own = time.perf_counter(), busy_s(), sum(os.times()[:4])
            _eight(works[name], count)
            all_of.append(time.perf_counter() - start)
            others = max(others, (busy_s() - busy - (sum(os.times()[:4]) - own)) / all_of[-1] / cores)
    ours, theirs = (f"{min(walls[name, 1]) / min(walls[name, 2]):.2f}" for name in works)
    return [
        f"Two workers extract {ours} times as much as one in the same wall time, two FFmpegs decode {theirs} times as much as one; other programs used up "
        f"to {100 * others:.0f} % of the {cores} cores meanwhile."
    ]


def _eight(work: Callable[[Path], object], workers: int) -> None:
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, [Path(scratch) / str(i) for i in range(8)]))


if __name__ == "__main__":
    main()
