"""The embedded models: frames per second a stage, against the models called frame by frame; what 8 bits change; what the vectors find.

The reference for speed is OpenVINO's own default in the same run, in turns with khung: the files as they come, in float32, one frame at a time on
all cores, the frames made small by the same code. A second one tells how much of it 8 bits and the smaller input give and how much batches. The reference for finding is ConSE as published (ten classes,
probabilities as they are, no objects; vision_finding.py). `python -m bench.vision [--frames N] [--only speed|finding]`
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.vision_finding import CLIPS, QUESTIONS, finding, frames_of
from khung.settings import Settings
from khung.vision import classes, faces, files
from khung.vision.e5 import E5
from khung.vision.eight_bits import Precision
from khung.vision.embedded import Embedded
from khung.vision.faces import FaceReader
from khung.vision.load import load_vision
from khung.vision.objects import ObjectDetector
from khung.vision.runtime import Net, OneForEach, cores
from khung.vision.yolox import taking

HERE = Path(__file__).parent


ROUNDS, TURN_S = 7, 0.5


def in_turns(works: Mapping[str, Callable[[], object]], count: int) -> dict[str, dict[str, float]]:
    """After one run of each to warm up: ROUNDS rounds in which each has its turn of at least TURN_S, another first in each round. The median of
    its rounds, by the wall and by the CPU: a machine whose clock wanders, or that has other work, slows all of them alike."""
    names, seen = list(works), {name: [] for name in works}
    times = {name: times_in_turn(work) for name, work in works.items()}
    for turn in range(ROUNDS):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(times[name]):
                works[name]()
            seen[name].append(((time.perf_counter() - wall) / times[name], (time.process_time() - cpu) / times[name]))
    found = {}
    for name, rounds in seen.items():
        walls, cpus = np.array(rounds).T
        found[name] = {
            "frames_per_s": round(count / float(np.median(walls)), 1),
            "cpu_ms": round(1000 * float(np.median(cpus)) / count, 1),
            "walls": walls.tolist(),
        }
    return found


def times_in_turn(work: Callable[[], object]) -> int:
    """How often it is to be done in one turn; told by its second run."""
    work()
    began = time.perf_counter()
    work()
    return math.ceil(TURN_S / (time.perf_counter() - began))


def times_faster(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, float]:
    """How many times as fast `one` was as the other in the same round: the median round, and the least and the most."""
    ratios = np.array(other["walls"]) / np.array(one["walls"])
    ends = {"median": np.median(ratios), "least": ratios.min(), "most": ratios.max()}
    return {name: round(float(value), 2) for name, value in ends.items()}


STAGES = ("classes", "objects", "faces", "vectors", "descriptions", "screen_text")


def speed(
    models: Path, images: Sequence[np.ndarray], stages: Sequence[str] = STAGES
) -> dict[str, dict[str, dict[str, float]]]:
    """Stage → as khung runs it, and as the models run when called frame by frame: their files as they come, in float32
    (`frame_by_frame`), and in the numbers that khung uses (`same_numbers`), which tells 8 bits and the smaller input from batches."""
    settings = Settings(models_dir=models)
    vision = load_vision(settings)
    own = Embedded(models, settings.embedded_precision)
    regions = ObjectDetector(files.path("yolox-nano.onnx", models))(images)
    of = {how: _alone(models, precision) for how, precision in REFERENCES.items()}

    def row(work: Work, alone: Callable[[Embedded], Work]) -> dict[str, dict[str, float]]:
        works: dict[str, Callable[[], object]] = {"khung": lambda: work(images)}
        for how, parts in of.items():
            works[how] = partial(one_by_one, alone(parts), images)
        found: dict = in_turns(works, len(images))
        for how in of:
            found[f"times_{how}"] = times_faster(found["khung"], found[how])
        return {name: {key: value for key, value in cell.items() if key != "walls"} for name, cell in found.items()}

    def looking_at(reader: FaceReader) -> Work:
        seen = {id(image): found for image, found in zip(images, regions, strict=True)}
        return lambda some: reader(some, [seen[id(image)] for image in some])

    rows = {
        "classes": lambda: row(own._classifier, lambda parts: parts._classifier),
        "objects": lambda: row(own._detector, lambda parts: parts._detector),
        "faces": lambda: row(looking_at(_faces(own)), lambda parts: looking_at(_faces(parts))),
        "vectors": lambda: row(vision.embedder.embed_images, lambda parts: parts.embedder.embed_images),
        "descriptions": lambda: row(vision.describer.describe, lambda parts: parts.describer.describe),
        "screen_text": lambda: row(vision.reader.read, lambda parts: parts.reader.read),
    }
    return {stage: rows[stage]() for stage in stages}


def one_by_one(work: "Work", images: Sequence[np.ndarray]) -> None:
    for image in images:
        work([image])


Work = Callable[[Sequence[np.ndarray]], object]
REFERENCES: dict[str, Precision] = {"frame_by_frame": "exact", "same_numbers": Settings().embedded_precision}


def _alone(models: Path, precision: Precision) -> Embedded:
    """The embedded models with each network called for one frame at a time; in float32 with the input that its file asks for."""
    parts = Embedded(models, precision)
    paths = {name: files.path(name, models) for name in files.FILES}
    own = precision != "exact"
    classifier, detector, reader = parts._classifier, parts._detector, _faces(parts)
    classifier._net = OneByOne(
        paths["efficientnet-lite0.tflite"], precision, classes.takes_bytes if own else None, scaled
    )
    detector._nets = OneForEach(
        lambda shape: OneByOne(paths["yolox-nano.onnx"], precision, taking(shape) if own else None, colour_first)
    )
    if not own:
        reader._shape = lambda window: (faces.FACE_SIDE, faces.FACE_SIDE)
    reader._find = OneForEach(
        lambda kind: OneByOne(
            paths["blazeface-short-range.tflite"], adapt=faces.looking(*kind) if own else None, prepare=around_zero
        )
    )
    reader._feel = OneByOne(paths["fer-emotion.tflite"])
    return parts


def scaled(pixels: np.ndarray) -> np.ndarray:
    """As EfficientNet-Lite's file wants it."""
    return (pixels.astype(np.float32) - classes.MEAN) / classes.SCALE


def around_zero(pixels: np.ndarray) -> np.ndarray:
    """As BlazeFace's file wants it."""
    return pixels.astype(np.float32) / 127.5 - 1


def colour_first(pixels: np.ndarray) -> np.ndarray:
    """As YOLOX's file wants it: BGR, float32."""
    return np.ascontiguousarray(pixels[..., ::-1].transpose(0, 3, 1, 2), np.float32)


def _faces(parts: Embedded) -> FaceReader:
    return parts.describer._recogniser._faces


class OneByOne:
    """A network as OpenVINO runs it when told nothing but the precision: one input after the other, all cores on each. Without
    `adapt` the file is as it comes, and `prepare` makes its input of pixels."""

    def __init__(
        self,
        path: Path,
        precision: Precision = "exact",
        adapt: Callable | None = None,
        prepare: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        self._net = Net(path, precision=precision, adapt=adapt)
        self._prepare = prepare if prepare and not adapt else lambda one: one

    def map(self, inputs: Iterable[np.ndarray], take: Callable = lambda outputs: outputs) -> list:
        return [take(self._net(self._prepare(one))) for one in inputs]


def queries(models: Path) -> dict[str, float]:
    """Milliseconds of one query, and of a text in a batch."""
    e5 = E5(files.path("e5-small-q4.bin", models))
    texts = [text for _, *both in QUESTIONS for text in both]
    found = in_turns(
        {"alone": lambda: [e5.queries([text]) for text in texts], "batch": lambda: e5.queries(texts)}, len(texts)
    )
    return {f"{how}_ms": round(1000 / row["frames_per_s"], 1) for how, row in found.items()}


def table(stages: dict[str, dict[str, dict[str, float]]]) -> str:
    lines = [
        "| stage | frames/s | CPU ms a frame | float32 frame by frame, frames/s | CPU ms | times faster | the same numbers frame by frame | CPU ms | times faster |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in stages.items():
        cells = [name, row["khung"]["frames_per_s"], row["khung"]["cpu_ms"]]
        for how in REFERENCES:
            times = row[f"times_{how}"]
            cells += [
                row[how]["frames_per_s"],
                row[how]["cpu_ms"],
                f"{times['median']} ({times['least']}–{times['most']})",
            ]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--frames", type=int, default=32)
    options.add_argument("--only", choices=("speed", "finding"))
    options.add_argument(
        "--stages", nargs="*", choices=STAGES, default=STAGES, help="of the speed; those that are measured"
    )
    given = options.parse_args()
    count = given.frames
    models = Settings().models_path
    images = [
        f
        for name in ("googlework_short.mp4", "cockatoo_cc0.mp4", "nasa_13013.mp4")
        for f in frames_of(CLIPS / name, 1.0)
    ]
    images = (images * (count // len(images) + 1))[:count]
    parts = {
        "speed": lambda: {"speed": speed(models, images, given.stages), "query": queries(models)},
        "finding": lambda: {"finding": finding(models)},
    }
    result = {"cores": cores(), "frames": len(images)}
    for name, measure in parts.items():
        result |= measure() if given.only in (None, name) else {}
    print(json.dumps(result, indent=1, ensure_ascii=False))
    if "speed" in result:
        print(table(result["speed"]))
    if given.only is None and given.stages == STAGES:
        out = HERE / "out" / "vision.json"
        out.parent.mkdir(exist_ok=True)
        out.write_text(json.dumps(result, indent=1, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
