"""Every clip through the whole pipeline in a fresh home: wall and CPU time of each stage, against the clips' own duration.

    python -m bench pipeline -- [FOLDER…]       default: KHUNG_TEST_CLIPS, else the repository's clips

CPU is that of the pipeline's process and of every child it has waited for. Writes bench/PIPELINE.md and bench/out/pipeline.json.
"""

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

REPO = Path(__file__).parent.parent


@dataclass
class Stage:
    """What one stage took over all clips."""

    name: str
    wall_s: float
    cpu_s: float


def main(arguments: list[str]) -> int:
    folders = [Path(a) for a in arguments] or [Path(os.environ.get("KHUNG_TEST_CLIPS", REPO / "tests" / "data"))]
    with tempfile.TemporaryDirectory(prefix="khung-bench-") as scratch:
        stages, events = measure(folders, Path(scratch))
        videos = library(Path(scratch) / "home")
    failed = [event for event in events if event["event"] in {"failed", "unreadable"}]
    result = {"load": os.getloadavg()[0], "stages": [asdict(s) for s in stages], "videos": videos, "failed": failed}
    (REPO / "bench" / "out").mkdir(exist_ok=True)
    (REPO / "bench" / "out" / "pipeline.json").write_text(json.dumps(result, indent=1, ensure_ascii=False))
    page(stages, videos, failed)
    return bool(failed)


def measure(folders: list[Path], scratch: Path) -> tuple[list[Stage], list[dict]]:
    """Run `orchestration.ingest` with everything of its own but the models, and read the clock at each of its events."""
    (scratch / "dagster").mkdir()
    (scratch / "dagster" / "dagster.yaml").write_text((REPO / "dagster.yaml").read_text())
    models = os.environ.get("KHUNG_MODELS_DIR", str(REPO / ".khung" / "models"))
    own = {"KHUNG_HOME": str(scratch / "home"), "KHUNG_MODELS_DIR": models, "DAGSTER_HOME": str(scratch / "dagster")}
    command = [sys.executable, "-m", "orchestration.ingest", *(str(f.absolute()) for f in folders)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ | own, cwd=scratch
    )
    looks, events = [("start and registering", time.perf_counter(), 0.0)], []
    for line in process.stdout or ():
        if not line.startswith(b"{"):
            continue
        events.append(json.loads(line))
        if events[-1]["event"] == "run":
            looks.append((events[-1]["asset"], time.perf_counter(), cpu_s(process.pid)))
    spent = os.wait4(process.pid, 0)[2]
    looks.append(("end", time.perf_counter(), spent.ru_utime + spent.ru_stime))
    stages: dict[str, Stage] = {}
    for (name, began, before), (_, ended, after) in itertools.pairwise(looks):
        stage = stages.setdefault(name, Stage(name, 0.0, 0.0))
        stage.wall_s, stage.cpu_s = stage.wall_s + ended - began, stage.cpu_s + after - before
    return list(stages.values()), events


def cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system + times.children_user + times.children_system


def library(home: Path) -> list[dict]:
    from khung.stores.archive_local import LocalArchive
    from khung.stores.library import Library, playable_key

    shelf = Library(LocalArchive(home / "archive"))
    return [
        {
            "video": v.source_name,
            "size": f"{v.width}×{v.height}",
            "seconds": v.duration_ms / 1000,
            "shots": len(shelf.shots(v.video_id)),
            "keyframes": len(shelf.keyframes(v.video_id)),
            "plays": "as it is" if v.playable else "a copy" if shelf.archive.size(playable_key(v.video_id)) else "no",
        }
        for v in map(shelf.video, shelf.video_ids())
    ]


def page(stages: list[Stage], videos: list[dict], failed: list[dict]) -> None:
    seconds, cpu = sum(v["seconds"] for v in videos), sum(s.cpu_s for s in stages)
    copied = sum(v["seconds"] for v in videos if v["plays"] == "a copy")
    wall, keyframes = sum(s.wall_s for s in stages), sum(v["keyframes"] for v in videos)
    lines = ["# The pipeline, measured", "", "`python -m bench pipeline -- FOLDER` makes this page.", ""]
    lines += [
        f"{len(videos)} clips, {seconds:.0f} s of video, {keyframes} keyframes; {len(failed)} failed. "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end.",
        "",
        "| stage | wall s | CPU s | × real time of the video, by CPU |",
        "|---|---|---|---|",
    ]
    for s in stages:
        of = copied if s.name == "playable_copies" else seconds  # the others pass every clip
        lines.append(f"| {s.name} | {s.wall_s:.1f} | {s.cpu_s:.1f} | {of / max(s.cpu_s, 0.01):.1f} |")
    lines += [f"| **all** | {wall:.1f} | {cpu:.1f} | {seconds / cpu:.1f} |", ""]
    lines += [f"Playable copies were made of {copied:.0f} s of video.", ""] if copied else []
    lines += ["| clip | size | seconds | shots | keyframes | plays |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {v['video']} | {v['size']} | {v['seconds']:.1f} | {v['shots']} | {v['keyframes']} | {v['plays']} |"
        for v in videos
    ]
    (REPO / "bench" / "PIPELINE.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
