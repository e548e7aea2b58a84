"""Writes bench/VISION.md from what `vision` and `vision_models` measured last. `python -m bench.vision_page`"""

import json
import platform
from pathlib import Path
from typing import Any

from bench.vision import ROUNDS
from bench.vision import table as stages_table

HERE = Path(__file__).parent
OUT, PAGE = HERE / "out", HERE / "VISION.md"

PLACES = ("vi_r1", "vi_r3", "en_r1", "en_r3")

HEAD = """# Models

Made by `make bench-vision` on {machine}. What was not measured says so; nothing here is an estimate.

## The embedded models on the CPU
{frames} frames of the repository's clips, {cores} cores. *Float32 frame by frame* is the reference that the goal of 1.5 speaks of: the models' files as they come, each
network called for one frame at a time, all cores on it (OpenVINO's default; the reader of text: the same reader, a frame a call), preparation included: frames are made
small by the same code as khung's, which is several times as fast as OpenCV's for them, so that this is not counted. *The same numbers* is that with the 8-bit networks and the smaller
inputs, where khung uses them: it tells what batches give from what these give. The three had their turns in each of {rounds} rounds, another first in each; *times faster* is the median of
the rounds' ratios, in brackets the least and the most, and the other numbers are medians too: so a clock that wanders or other work on the machine changes them little.

{stages}

8 bits against float32 on {agreed[frames]} frames: the same first class on {agreed[first_class]:.1%} of them, and on {agreed[first_class_where_sure]:.1%} of those where float32 is at
least 0.5 sure; F1 of the boxes {agreed[boxes_f1]:.3f} at IoU 0.5; cosine of the vectors {agreed[cosine_median]:.4f} in the median and {agreed[cosine_min]:.4f} at worst.

A question costs {alone_ms} ms alone and {batch_ms} ms in a batch. Of {questions} questions in each language over {clips} clips, the right clip came first for
{vi_r1:.0%} in Vietnamese and {en_r1:.0%} in English, among the first three for {vi_r3:.0%} and {en_r3:.0%} (float32: {e_vi_r1:.0%} and {e_en_r1:.0%}, {e_vi_r3:.0%} and {e_en_r3:.0%}; ConSE as
published: {p_vi_r1:.0%} and {p_en_r1:.0%} first).

## Large models
{device}, torch {torch}, {large_frames} frames of 1280×720. *Share* is against the bare model over inputs that were ready, in the same run; the goal is 0.9. The tiny
model on a CPU shows only what our own code around a model costs.

{large}

The goals for one A100-class card, 20,000 embedded frames an hour of a 7B at 640 tokens and 2,000 described ones: {goals}
"""


def main() -> None:
    small, large = (
        json.loads((OUT / name).read_text(encoding="utf-8")) for name in ("vision.json", "vision_models.json")
    )
    finding = small["finding"]
    page = HEAD.format(
        machine=f"{platform.system()} {platform.machine()}",
        frames=small["frames"],
        cores=small["cores"],
        rounds=ROUNDS,
        stages=stages_table(small["speed"]),
        **small["query"],
        questions=finding["clips"]["questions"],
        clips=finding["clips"]["count"],
        agreed=finding["int8_against_exact"],
        **{name: finding["int8"][name] for name in PLACES},
        **{f"e_{name}": finding["exact"][name] for name in PLACES},
        **{f"p_{name}": finding["conse_as_published"][name] for name in ("vi_r1", "en_r1")},
        device=large["device"],
        torch=large["torch"],
        large_frames=large["frames"],
        large=large_table(large["rows"]),
        goals=goals(large["rows"]),
    )
    PAGE.write_text(page, encoding="utf-8")
    print(f"{PAGE.relative_to(HERE.parent)} is written.")


def large_table(rows: list[dict[str, Any]]) -> str:
    numbers = {
        "frames_per_hour": "frames/h", "bare_frames_per_hour": "bare model", "share_of_bare": "share", "peak_gib": "peak GiB",
        "gpu_busy": "GPU busy", "decode_ms": "decode ms", "prepare_ms": "prepare ms", "forward_ms": "forward ms",
    }  # fmt: skip
    lines = ["| | model | tokens | held | attention | " + " | ".join(numbers.values()) + " |", "|" + "---|" * 13]
    for row in rows:
        held = row["dtype"] if row["quantisation"] == "none" else row["quantisation"]
        cells = [row["what"], row["model"], row["tokens"], held, row["attention"]]
        if "result" in row:
            cells += [row["result"], *[""] * 7]
        else:
            cells += ["–" if row[name] is None else f"{row[name]:,}" for name in numbers]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def goals(rows: list[dict[str, Any]]) -> str:
    measured = [row for row in rows if "result" not in row and row["model"] != "tiny"]
    if not measured:
        return "not measured, there was no GPU."
    best: dict[str, int] = {}
    for row in measured:
        if row["what"] == "describe" or (row["model"] == "gme-7b" and row["tokens"] == 640):
            best[row["what"]] = max(best.get(row["what"], 0), row["frames_per_hour"])
    return ", ".join(f"{what}: {value:,} an hour" for what, value in best.items()) + "."


if __name__ == "__main__":
    main()
