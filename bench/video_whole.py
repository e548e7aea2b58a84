"""The whole extraction without embedding, as users run it: children, files and all. CPU seconds a stage, × real time, and two workers."""

import os
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.video_common import CLIPS, busy_s, by_size, cpu_s, extracted, keep, transnet
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
    """Wall time of eight extractions by one worker and by two, in turn, and what others had of the machine meanwhile."""
    clip, cores = CLIPS / "cockatoo_cc0.mp4", len(os.sched_getaffinity(0))
    used = {1: 0.0, 2: 0.0}

    def eight(count: int) -> float:
        start, busy, own = time.perf_counter(), busy_s(), sum(os.times()[:4])
        with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(count) as pool:
            folders = [Path(scratch) / str(i) for i in range(8)]
            list(pool.map(lambda folder: extract(clip, folder, LIMITS, SETTINGS, duration_s=14), folders))
        wall = time.perf_counter() - start
        used[count] = max(used[count], (busy_s() - busy - (sum(os.times()[:4]) - own)) / wall / cores)
        return wall

    one, two = (min(eight(count) for _ in range(3)) for count in (1, 2))
    others = f"other programs used up to {100 * max(used.values()):.0f} % of the {cores} cores meanwhile"
    return [f"Two workers extract {one / two:.2f} times as much as one in the same wall time; {others}."]


if __name__ == "__main__":
    main()
