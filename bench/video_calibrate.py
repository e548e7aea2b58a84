"""Measures the ranges of TransNetV2's tensors for its 8-bit mode and writes khung/shots/int8_ranges.json. Run by hand, not a benchmark.

`python -m bench.video_calibrate` looks at every window of the repository's clips; a range is the largest over all windows of the
0.01 and 99.99 percentiles within one, so that single outliers do not widen it.
"""

import hashlib
import json
import sys

import numpy as np

from bench.video_common import CLIPS, extracted, model_path
from khung.shots.quantise import RANGES, heavy_layers
from khung.shots.transnet import WINDOW, packed

CLIP_NAMES = ("googlework_short.mp4", "nasa_13013.mp4", "cockatoo_cc0.mp4")


def measure() -> list[tuple[float, float]]:
    import openvino

    core = openvino.Core()
    model = core.read_model(model_path())
    sources = [layers[0].input_value(0) for layers in heavy_layers(model)]
    model.add_outputs(sources)
    network = core.compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"})
    ends = []
    for name in CLIP_NAMES:
        small = extracted(CLIPS / name).small
        for start in range(0, len(small) - WINDOW + 1, WINDOW):
            answers = network([packed(small[start : start + WINDOW])])
            ends.append([np.percentile(answers[i + 1], (0.01, 99.99)) for i in range(len(sources))])
    lows, highs = np.array(ends)[..., 0].min(axis=0), np.array(ends)[..., 1].max(axis=0)
    return [(round(min(float(low), 0.0), 4), round(float(high), 4)) for low, high in zip(lows, highs, strict=True)]


def run() -> None:
    with open(model_path(), "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    RANGES.write_text(json.dumps({"model_sha256": digest, "ranges": measure()}) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(run())
