"""The one runtime of the embedded models: OpenVINO on the CPU, for ONNX and TFLite files and graphs of our own.

Float32 throughout, so that a vector does not depend on the machine's faster formats. What goes in and what comes out
is each model's business; docs/decisions/0010 says why this runtime.
"""

import threading
from pathlib import Path
from typing import Any

import numpy as np

from khung.errors import ModelError


class Net:
    """A compiled network. Call it with its inputs in order; get its outputs in order, as arrays of one's own.

    Thread-safe: every thread has its own request. `batch` asks for a free first dimension. `threads` 0 means all cores.
    """

    def __init__(self, model: "Path | Any", *, threads: int = 0, batch: bool = False) -> None:
        import openvino as ov

        core = ov.Core()
        try:
            graph = core.read_model(model) if isinstance(model, Path) else model
            if batch:
                _free_batch(graph)
            options = {
                "INFERENCE_PRECISION_HINT": "f32",
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_NUM_THREADS": threads,
            }
            self._compiled = core.compile_model(graph, "CPU", options)
        except RuntimeError as error:
            raise ModelError(f"OpenVINO cannot load {model}: {error}", cure="Run `khung models pull`.") from error
        self._own = threading.local()

    def __call__(self, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        request = getattr(self._own, "request", None)
        if request is None:
            request = self._own.request = self._compiled.create_infer_request()
        try:
            request.infer(list(inputs), share_inputs=True)
        except RuntimeError as error:
            raise ModelError(f"The model failed on an input of shape {inputs[0].shape}: {error}") from error
        return tuple(request.get_output_tensor(i).data.copy() for i in range(len(self._compiled.outputs)))


def _free_batch(graph: Any) -> None:
    """Let the first dimension vary: inputs, and the inner reshapes that an exporter froze at one image."""
    from openvino import opset13 as op

    for node in graph.get_ops():
        if node.get_type_name() != "Reshape" or node.input_value(1).get_node().get_type_name() != "Constant":
            continue
        shape = node.input_value(1).get_node().get_data()
        if shape[0] == 1 and node.input(0).get_partial_shape()[0] == 1:
            kept = op.reshape(node.input_value(0), op.constant(np.array([0, *shape[1:]])), special_zero=True)
            node.output(0).replace(kept.output(0))
    graph.reshape({port: [-1, *list(port.partial_shape)[1:]] for port in graph.inputs})
