"""TransNetV2 in 8-bit integers: three to four times as fast on a CPU with VNNI, with the same cuts.

The ranges of the tensors that enter the layers were measured once on the repository's clips (bench/video_calibrate.py) and lie in
`int8_ranges.json`; weights are scaled per output channel. OpenVINO turns the marked layers into integer arithmetic when it compiles
the model. A test holds the cuts at F1 >= 0.98 against the exact mode.
"""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from khung.errors import ModelError

if TYPE_CHECKING:
    import openvino

RANGES = Path(__file__).parent / "int8_ranges.json"
_VNNI = {"avx512_vnni", "avx_vnni", "amx_int8"}


def cpu_has_int8() -> bool:
    """Without VNNI (or on another kind of processor) 8-bit sums may saturate, and little is gained."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return False
    return not _VNNI.isdisjoint(flags)


def quantise(model: "openvino.Model", model_path: Path) -> "openvino.Model":
    """The model with its heavy layers marked for 8 bits. Raises ModelError when the ranges are another file's."""
    known = json.loads(RANGES.read_text(encoding="utf-8"))
    with model_path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != known["model_sha256"]:
            raise ModelError(
                f"{model_path.name} is not the file that the 8-bit ranges were measured on.",
                cure="Set KHUNG_EXTRACT_TRANSNET_PRECISION=exact, or measure anew with bench/video_calibrate.py.",
            )
    for layers, (low, high) in zip(heavy_layers(model), known["ranges"], strict=True):
        _mark_input(layers, low, high)
        for layer in layers:
            _mark_weights(layer)
    model.validate_nodes_and_infer_types()
    return model


def heavy_layers(model: "openvino.Model") -> list[list["openvino.Node"]]:
    """The convolutions and the one large product, grouped by the tensor they read, in the graph's order."""
    groups: dict[tuple[str, int], list[openvino.Node]] = {}
    for layer in model.get_ordered_ops():
        kind = layer.get_type_name()
        if kind == "Convolution" or (kind == "MatMul" and _is_large(layer)):
            source = layer.input_value(0)
            groups.setdefault((source.get_node().get_friendly_name(), source.get_index()), []).append(layer)
    return list(groups.values())


def _is_large(product: "openvino.Node") -> bool:
    weights = product.input_value(1)
    return weights.get_node().get_type_name() == "Constant" and weights.get_shape()[0] > 400


def _mark_input(layers: list["openvino.Node"], low: float, high: float) -> None:
    """256 levels: from 0 after a ReLU, else around 0 as a signed byte has them."""
    from openvino import opset13 as ops

    if low < 0:
        reach = max(-low, high)
        low, high = -reach, reach * 127 / 128
    ends = [ops.constant(np.float32(end)) for end in (low, high, low, high)]
    marked = ops.fake_quantize(layers[0].input_value(0), *ends, 256)
    for layer in layers:
        layer.input(0).replace_source_output(marked.output(0))


def _mark_weights(layer: "openvino.Node") -> None:
    """255 levels around 0 for each output channel: the first axis of a convolution, the last of a product."""
    from openvino import opset13 as ops

    weights = layer.input_value(1).get_node()
    values = weights.get_data()
    others = tuple(range(1, values.ndim)) if layer.get_type_name() == "Convolution" else (0,)
    reach = np.maximum(np.abs(values).max(axis=others, keepdims=True), 1e-9).astype(np.float32)
    ends = [ops.constant(end) for end in (-reach, reach, -reach, reach)]
    layer.input(1).replace_source_output(ops.fake_quantize(weights, *ends, 255).output(0))
