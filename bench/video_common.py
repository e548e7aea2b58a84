"""What the benchmarks of the video stage share: the clips, their extractions (kept in bench/out/video), and CPU time."""

import hashlib
import json
import os
import platform
import re
import resource
import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np

from khung.settings import ExtractionSettings, MediaLimits, settings
from khung.shots.transnet import Prediction, TransNet
from khung.video.extract import Extraction, extract

ROOT = Path(__file__).parent.parent
CLIPS = ROOT / "tests" / "data"
OUT = Path(__file__).parent / "out"
PAGE = Path(__file__).parent / "VIDEO.md"
PAGES = ("video_speed", "video_whole", "video_memory", "video_shots", "video_keyframes")
HEAD = """# The video stage, measured

`python -m bench video_speed video_whole video_memory video_shots video_keyframes` makes this page (and JSON in `bench/out/`); it needs
the model files (`make models`) and FFmpeg. Clips outside the repository are used where they are found (`KHUNG_TEST_CLIPS`).
"""
BY_SIZE = ("bbb_30s_1080p.mp4", "psd_testvideo.mp4", "basketball_360p.mp4", "googlework_short.mp4")
KINDS = {".mp4", ".avi", ".mpg", ".mov"}


def extra_clips() -> Path:
    """The folder of clips outside the repository; it may not exist."""
    return Path(os.environ.get("KHUNG_TEST_CLIPS") or ROOT.parent / "shared" / "videos")


def all_clips() -> list[Path]:
    """Every clip once, those of the repository first."""
    found = {
        path.name: path
        for folder in (CLIPS, extra_clips())
        if folder.is_dir()
        for path in sorted(folder.iterdir(), reverse=True)
    }
    own = {path.name: path for path in CLIPS.iterdir()}
    return [path for _, path in sorted((found | own).items()) if path.suffix in KINDS]


def by_size() -> list[Path]:
    """One clip each of 1080p, 720p, 360p and 180p, as far as they are here."""
    return [clip for name in BY_SIZE for clip in all_clips() if clip.name == name]


def known_cuts() -> dict[str, dict]:
    """By clip name: hard, gradual, uncertain; as tests/data/CLIPS.md says."""
    lists = [
        json.loads(path.read_text())["clips"]
        for path in (extra_clips() / "cuts.json", CLIPS / "cuts.json")
        if path.exists()
    ]
    return {name: cuts for each in lists for name, cuts in each.items()}


def model_path() -> Path:
    return settings().models_path / "transnetv2.onnx"


@cache
def transnet(precision: str) -> TransNet:
    return TransNet(model_path(), threads=1, precision=precision)


@cache
def extracted(path: Path) -> Extraction:
    """The clip's extraction, made anew for this run."""
    folder = OUT / "video" / path.stem
    shutil.rmtree(folder, ignore_errors=True)
    return extract(path, folder, MediaLimits(), ExtractionSettings())


@cache
def predicted(path: Path, precision: str) -> Prediction:
    """TransNetV2's answers; kept in bench/out by the bytes of the pictures they were made from."""
    small = extracted(path).small
    kept = OUT / "video" / f"{hashlib.sha256(small).hexdigest()[:16]}-{precision}.npz"
    if not kept.exists():
        prediction = transnet(precision).predict(small)
        np.savez(kept, one_hot=prediction.one_hot, many_hot=prediction.many_hot)
    with np.load(kept) as stored:
        return Prediction(**stored)


def cpu_s(work: Callable[[], object]) -> float:
    """CPU seconds of this process for one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def ffmpeg_cpu_s(path: Path) -> float:
    """CPU seconds of FFmpeg decoding the file's first video stream on one thread: the reference of every R."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = ["ffmpeg", "-v", "error", "-nostdin", "-threads", "1", "-i", path, "-map", "0:v:0", "-f", "null", "-"]
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def busy_s() -> float:
    """CPU seconds that the whole machine has worked since it started."""
    user, nice, system, _, _, irq, softirq = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def machine() -> str:
    """The processor, and how many cores this process may use."""
    names = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return f"{names[0] if names else platform.machine()}, {len(os.sched_getaffinity(0))} cores"


def keep(name: str, tables: dict[str, list[dict]], notes: list[str]) -> None:
    """The results as JSON in bench/out, and their section of bench/VIDEO.md written anew; the others' stay as they are."""
    OUT.mkdir(exist_ok=True)
    result = {
        "machine": machine(),
        "date": date.today().isoformat(),
        "load": round(os.getloadavg()[0], 1),
        "tables": tables,
        "notes": notes,
    }
    (OUT / f"{name}.json").write_text(json.dumps(result, indent=1, ensure_ascii=False))
    sections = _sections(PAGE.read_text()) | {name: _section(result)}
    known = [f"<!-- {page} -->\n{sections[page]}" for page in PAGES if page in sections]
    PAGE.write_text("\n".join([HEAD, *known]))
    print(sections[name])


def _sections(page: str) -> dict[str, str]:
    """By benchmark, what stands behind its mark."""
    _, *parts = re.split(r"^<!-- (\w+) -->\n", page, flags=re.MULTILINE)
    return {name: f"{text.rstrip()}\n" for name, text in zip(parts[::2], parts[1::2], strict=True)}


def _section(result: dict) -> str:
    parts = []
    for title, rows in result["tables"].items():
        parts += [f"## {title}", "", _table(rows), ""]
    return "\n".join(
        [
            *parts,
            *(f"- {note}" for note in result["notes"]),
            "",
            f"Measured {result['date']} on {result['machine']}, load {result['load']}.",
            "",
        ]
    )


def _table(rows: list[dict]) -> str:
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *([_cell(row[column]) for column in columns] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: object) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
