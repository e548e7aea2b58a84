"""Measures the ranges of the tensors that enter the layers of the 8-bit networks and writes khung/vision/data/int8_ranges.json.

Run by hand, not a benchmark: `python -m bench.calibrate [NAME…]`, all networks or those named. TransNetV2 looks at every window of the
repository's clips; the image networks at frames of these and of the clips outside the repository (KHUNG_TEST_CLIPS). A range is the
largest over all inputs of the 0.01 and 99.99 percentiles within one, so that single outliers do not widen it. Then, where it helps, what the
outputs of a layer lose by 8 bits on average, each channel for itself.
"""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.video_common import CLIPS, extracted
from khung.settings import Settings
from khung.shots.transnet import WINDOW, packed
from khung.vision import classes, files, objects, yolox
from khung.vision.eight_bits import RANGES, layers_of, rounded, sha256_of

CLIP_NAMES = ("googlework_short.mp4", "nasa_13013.mp4", "cockatoo_cc0.mp4")


@dataclass(frozen=True)
class Network:
    """`stay`: the layers that remain in float32, by their places in `layers_of`: those that changed the answers most when each was
    in 8 bits alone, and of YOLOX those that are no faster in 8 bits (depthwise, or of few channels). `around_zero`: signed bytes, their
    zero in the middle, as TransNetV2 was measured. `adapt`: the graph in which khung marks the layers, for a shape of the input."""

    inputs: Callable[[], Iterator[np.ndarray]]
    stay: tuple[int, ...] = ()
    around_zero: bool = False
    smallest_product: int = 0  # products with fewer rows of weights stay, too
    adapt: Callable[[tuple[int, ...]], Callable[[Any], Any]] | None = None
    shifted: tuple[int, ...] = ()  # groups of one layer whose bias makes up for the rounding


def windows() -> Iterator[np.ndarray]:
    for name in CLIP_NAMES:
        small = extracted(CLIPS / name).small
        for start in range(0, len(small) - WINDOW + 1, WINDOW):
            yield packed(small[start : start + WINDOW])


def frames() -> Iterator[np.ndarray]:
    """Up to eight of each clip, three seconds apart; bench.vision_finding looks at every second second."""
    from bench.vision_finding import clips, frames_of

    for path in clips().values():
        yield from frames_of(path, 3.0, 8, first_s=1.0)


def squares() -> Iterator[np.ndarray]:
    for frame in frames():
        yield (classes.squeezed(frame)[None].astype(np.float32) - classes.MEAN) / classes.SCALE


def letterboxes() -> Iterator[np.ndarray]:
    for frame in frames():
        yield objects.letterbox(frame, objects.fitting(frame))[None]


NETWORKS = {
    "transnetv2.onnx": Network(windows, around_zero=True, smallest_product=400),
    "efficientnet-lite0.tflite": Network(
        squares, stay=(*range(8), 9, 10, 11, 25), shifted=(8, 14, 17, 20, 23, 26, 29, 32, 35, 38, 41, 44, 47)
    ),  # those that make few channels of many: their inputs are never negative, so that errors of weights add up
    "yolox-nano.onnx": Network(
        letterboxes,
        stay=(*range(1, 23), 25, 28, 31, 33, 34, 35, 36, 37, 40, 44, 46, *range(50, 57), 58, 60, 62, 68, 71, 72, 74, 76, 78, 84, *range(87, 97)),
        adapt=lambda shape: yolox.taking(shape[1:3]),
    ),
}  # fmt: skip


def measure(path: Path, network: Network) -> list[tuple[float, float] | None]:
    compiled: dict[tuple[int, ...], Any] = {}
    seen = []
    for one in network.inputs():
        if one.shape not in compiled:
            groups, marked, compiled[one.shape] = _looking(path, network, one.shape)
        answers = list(compiled[one.shape]([one]).values())
        seen.append([np.percentile(answer, (0.01, 99.99)) for answer in answers[-len(marked) :]])
    lows, highs = np.array(seen)[..., 0].min(axis=0), np.array(seen)[..., 1].max(axis=0)
    found: list[tuple[float, float] | None] = [None] * groups
    for at, low, high in zip(marked, lows, highs, strict=True):
        found[at] = ends(min(float(low), 0.0), float(high), network.around_zero)
    return found


def losses(path: Path, network: Network, ranges: list[tuple[float, float] | None]) -> dict[str, list[float]]:
    """Group → of each output channel, by how much 8 bits lower its mean, were all before it exact."""
    import openvino
    from openvino import opset13 as ops

    model = openvino.Core().read_model(path)
    groups = layers_of(model)
    for at in network.shifted:
        (layer,) = groups[at]
        lost = ops.subtract(layer.output(0), in_8_bits(layer, *ranges[at]))
        model.add_outputs([ops.reduce_mean(lost, ops.constant(np.array([2, 3]))).output(0)])
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    seen = [[row[0] for row in list(compiled([one]).values())[-len(network.shifted) :]] for one in network.inputs()]
    means = [np.mean(channels, axis=0) for channels in zip(*seen, strict=True)]
    return {str(at): [round(float(v), 5) for v in mean] for at, mean in zip(network.shifted, means, strict=True)}


def in_8_bits(layer: Any, low: float, high: float) -> Any:
    """The same convolution over rounded inputs with rounded weights."""
    from openvino import opset13 as ops

    ends = [ops.constant(np.float32(end)) for end in (low, high, low, high)]
    how = layer.get_attributes()
    return ops.convolution(
        ops.fake_quantize(layer.input_value(0), *ends, 256), ops.constant(rounded(layer)),
        how["strides"], how["pads_begin"], how["pads_end"], how["dilations"], how["auto_pad"],
    )  # fmt: skip


def _looking(path: Path, network: Network, shape: tuple[int, ...]) -> tuple[int, list[int], Any]:
    """How many groups of layers there are, which are marked, and the network whose last outputs are what enters these."""
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    model = network.adapt(shape)(model) if network.adapt else model
    groups = layers_of(model)
    marked = [at for at in range(len(groups)) if at not in network.stay and _large(groups[at], network)]
    model.add_outputs([groups[at][0].input_value(0) for at in marked])
    return len(groups), marked, core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def ends(low: float, high: float, around_zero: bool) -> tuple[float, float]:
    """256 levels, one of them exactly 0."""
    if low >= 0:
        return 0.0, round(high, 6)
    if around_zero:
        reach = max(-low, high)
        return round(-reach, 6), round(reach * 127 / 128, 6)
    step = (high - low) / 255
    zero = round(-low / step)
    return round(-zero * step, 6), round((255 - zero) * step, 6)


def _large(layers: list, network: Network) -> bool:
    kinds = {layer.get_type_name() for layer in layers}
    return kinds != {"MatMul"} or layers[0].input_value(1).get_shape()[0] > network.smallest_product


def run(names: list[str]) -> None:
    known = json.loads(RANGES.read_text(encoding="utf-8")) if RANGES.exists() else {}
    for name in names or NETWORKS:
        path = files.path(name, Settings().models_path)
        ranges = measure(path, NETWORKS[name])
        known[name] = {"model_sha256": sha256_of(path), "ranges": ranges}
        if NETWORKS[name].shifted:
            known[name]["shifts"] = losses(path, NETWORKS[name], ranges)
        print(
            f"{name}: {sum(ends is not None for ends in known[name]['ranges'])} of {len(known[name]['ranges'])} groups of layers"
        )
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(known[name])}" for name in sorted(known))
    RANGES.write_text("{\n" + lines + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    run(sys.argv[1:])
