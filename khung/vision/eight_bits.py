"""Networks in 8-bit integers: about twice as fast and more on a CPU with VNNI, with nearly the same answers.

Which layers, and the ranges of the tensors that enter them, were measured once (bench/calibrate.py) and lie in
`data/int8_ranges.json`, with the checksum of the file that they belong to; layers that suffer stay in float32. Weights are scaled per
output channel; what their rounding adds to a channel on average is taken from its bias again, where that was measured ("bias
correction", Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction"). OpenVINO turns the marked layers into integer arithmetic when it compiles the model. What this costs in quality is in
docs/decisions/0032, and tests hold it.
"""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from khung.errors import ModelError

if TYPE_CHECKING:
    import openvino

Precision = Literal["exact", "int8"]

RANGES = Path(__file__).parent / "data" / "int8_ranges.json"
_VNNI = {"avx512_vnni", "avx_vnni", "amx_int8"}
_LAYERS = ("Convolution", "GroupConvolution", "MatMul")
_OTHER_AXES = {"Convolution": 1, "GroupConvolution": 2}  # the first axis of the weights that is no output channel


def cpu_has_int8() -> bool:
    """Without VNNI (or on another kind of processor) 8-bit sums may saturate, and little is gained."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return False
    return not _VNNI.isdisjoint(flags)


def quantise(model: "openvino.Model", name: str, sha256: str, *, setting: str, integers: bool = True) -> None:
    """Mark the layers of a model, in place. `setting` is the one that does without. `integers` False: the same rounding in float32
    numbers, for processors without the instructions. Raises ModelError when the ranges are another file's."""
    known = _known().get(name, {})
    if known.get("model_sha256") != sha256:
        raise ModelError(
            f"{name} is not the file that the 8-bit ranges were measured on.",
            cure=f"Set {setting}=exact, or measure anew with bench/calibrate.py.",
        )
    groups = layers_of(model)
    for layers, ends in zip(groups, known["ranges"], strict=True):
        if ends is not None:
            _mark_input(layers, *ends)
            for layer in layers:
                _mark_weights(layer, integers)
    for at, missing in known.get("shifts", {}).items():
        _shift(groups[int(at)][0], np.array(missing, np.float32))
    model.validate_nodes_and_infer_types()


def ranges_digest(*names: str) -> str:
    """What the 8-bit arithmetic of these models depends on beside their files."""
    known = {name: _known()[name] for name in names if name in _known()}
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def layers_of(model: "openvino.Model") -> list[list["openvino.Node"]]:
    """The convolutions and products with constant weights, grouped by the tensor that they read, in the graph's order."""
    groups: dict[tuple[str, int], list[openvino.Node]] = {}
    for layer in model.get_ordered_ops():
        if layer.get_type_name() in _LAYERS and _weights(layer) is not None:
            source = layer.input_value(0)
            groups.setdefault((source.get_node().get_friendly_name(), source.get_index()), []).append(layer)
    return list(groups.values())


def _weights(layer: "openvino.Node") -> np.ndarray | None:
    """Float32; None when they are no constant."""
    node = layer.input_value(1).get_node()
    shape = node.get_output_shape(0) if node.get_output_partial_shape(0).is_static else None
    if node.get_type_name() == "Reshape":  # ONNX reshapes the weights of its depthwise convolutions
        node = node.input_value(0).get_node()
    return node.get_data().astype(np.float32).reshape(shape) if node.get_type_name() == "Constant" else None


def _known() -> dict:
    return _read(RANGES)


@cache
def _read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def _mark_input(layers: list["openvino.Node"], low: float, high: float) -> None:
    from openvino import opset13 as ops

    ends = [ops.constant(np.float32(end)) for end in (low, high, low, high)]
    marked = ops.fake_quantize(layers[0].input_value(0), *ends, 256)
    for layer in layers:
        layer.input(0).replace_source_output(marked.output(0))


def _mark_weights(layer: "openvino.Node", integers: bool) -> None:
    """255 levels around 0 for each output channel."""
    from openvino import opset13 as ops

    if integers:
        values = _weights(layer)
        reach = _reach(layer, values)
        ends = [ops.constant(end) for end in (-reach, reach, -reach, reach)]
        marked = ops.fake_quantize(ops.constant(values), *ends, 255)
    else:
        marked = ops.constant(rounded(layer))
    layer.input(1).replace_source_output(marked.output(0))


def rounded(layer: "openvino.Node") -> np.ndarray:
    """The weights of a layer as 8 bits hold them."""
    values = _weights(layer)
    step = _reach(layer, values) / np.float32(127)
    return np.round(values / step) * step


def _reach(layer: "openvino.Node", values: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(values).max(axis=_other_axes(layer, values.ndim), keepdims=True), 1e-9)


def _shift(layer: "openvino.Node", missing: np.ndarray) -> None:
    """Add what is missing from each output channel to the bias that follows."""
    from openvino import opset13 as ops

    (added,) = (target.get_node() for target in layer.output(0).get_target_inputs())
    (at,) = (i for i in range(2) if added.input_value(i).get_node().get_type_name() == "Constant")
    bias = added.input_value(at).get_node().get_data()
    added.input(at).replace_source_output(ops.constant(bias + missing.reshape(bias.shape)).output(0))


def _other_axes(layer: "openvino.Node", axes: int) -> tuple[int, ...]:
    kind = layer.get_type_name()
    if kind == "MatMul":
        return (1,) if layer.get_attributes()["transpose_b"] else (0,)
    return tuple(range(_OTHER_AXES[kind], axes))
