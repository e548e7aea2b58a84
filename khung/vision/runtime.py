"""The one runtime of the embedded models: OpenVINO on the CPU, for ONNX and TFLite files and graphs of our own.

Float32, or 8-bit integers where a model has been measured for them (`eight_bits.py`), and never a format that a machine picks by
itself: what comes out does not depend on the machine. What goes in and what comes out is each model's business; docs/decisions/0010
says why this runtime.
"""

import os
import threading
import weakref
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from khung.errors import ModelError
from khung.vision.eight_bits import Precision, cpu_has_int8, quantise, sha256_of

SETTING = "KHUNG_EMBEDDED_PRECISION"

Outputs = tuple[np.ndarray, ...]


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Net:
    """A compiled network; thread-safe.

    `net(x, …)` runs one input on all cores. A net made with `wide=True` is for `net.map(inputs)`: many inputs, each on a
    core of its own, which for small networks is about twice as fast (bench/vision.py). `threads` 0 means all cores. `precision`
    int8: the layers that the file has ranges for; without VNNI with the same rounding, in float32. `adapt` changes the graph's
    inputs. Raises ModelError.
    """

    def __init__(
        self,
        model: "Path | Any",
        *,
        threads: int = 0,
        wide: bool = False,
        precision: Precision = "exact",
        adapt: Callable[[Any], Any] | None = None,
    ) -> None:
        import openvino as ov

        threads = threads or cores()
        options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
        if wide:
            options |= {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": threads}
        core = ov.Core()
        try:
            graph = core.read_model(model) if isinstance(model, Path) else model
            graph = adapt(graph) if adapt else graph
            if precision == "int8":
                quantise(graph, model.name, sha256_of(model), setting=SETTING, integers=cpu_has_int8())
            self._compiled = core.compile_model(graph, "CPU", options)
        except RuntimeError as error:
            raise ModelError(f"OpenVINO cannot load {model}: {error}", cure="Run `khung models pull`.") from error
        self._jobs = threads
        self._outputs = range(len(self._compiled.outputs))
        self._own = threading.local()

    def __call__(self, *inputs: np.ndarray) -> Outputs:
        request = getattr(self._own, "request", None)
        if request is None:
            request = self._own.request = self._compiled.create_infer_request()
        try:
            request.infer(list(inputs), share_inputs=True)
        except RuntimeError as error:
            raise ModelError(f"The model failed on an input of shape {inputs[0].shape}: {error}") from error
        return self._copied(request)

    def map(self, inputs: Iterable[np.ndarray], take: Callable[[Outputs], Any] | None = None) -> list[Any]:
        """The outputs of each input, in order. The next input is prepared while earlier ones are computed. `take` makes something
        smaller of the outputs, of which it must keep no view: their memory is used again."""
        import openvino as ov

        queue = getattr(self._own, "queue", None)
        if queue is None:
            queue = self._own.queue = ov.AsyncInferQueue(self._compiled, self._jobs)
            queue.set_callback(_answered)
        answers = _Answers((lambda request: take(self._views(request))) if take else self._copied)
        try:
            for place, one in enumerate(inputs):
                job = (place, weakref.ref(answers), one)  # it keeps its input alive
                queue.start_async([one], userdata=job, share_inputs=True)
            queue.wait_all()
        except RuntimeError as error:
            raise ModelError(f"The model failed: {error}") from error
        return [answers.by_place[place] for place in range(len(answers.by_place))]

    def _copied(self, request: Any) -> Outputs:
        return tuple(view.copy() for view in self._views(request))

    def _views(self, request: Any) -> Outputs:
        return tuple(request.get_output_tensor(i).data for i in self._outputs)


class _Answers:
    """Of the inputs of one call of `map`, what is kept of their outputs, by place."""

    def __init__(self, keep: Callable[[Any], Any]) -> None:
        self.keep = keep
        self.by_place: dict[int, Any] = {}


def _answered(request: Any, job: "tuple[int, weakref.ref[_Answers], np.ndarray]") -> None:
    """A queue holds its last jobs, and Python's collector does not see into it: did a job hold the answers, and they the network, no network would
    ever be let go."""
    place, of, _ = job
    if (answers := of()) is not None:
        answers.by_place[place] = answers.keep(request)


def taking_bytes(mean: float, scale: float, shape: tuple[int, ...] = ()) -> Callable[[Any], Any]:
    """The change of a graph to one whose input is uint8, from which the mean is taken inside and which is divided by the scale. `shape`: of
    the input, if it is to be another than the file's."""

    def adapt(graph: Any) -> Any:
        from openvino import Type
        from openvino.preprocess import PrePostProcessor

        if shape:
            graph.reshape(list(shape))
        steps = PrePostProcessor(graph)
        steps.input().tensor().set_element_type(Type.u8)
        steps.input().preprocess().convert_element_type(Type.f32).mean(mean).scale(scale)
        return steps.build()

    return adapt


class OneForEach:
    """A network for each kind of input, made when it is first asked for and kept: so there must be few kinds. To make one costs about a second and
    tens of megabytes, which come back to the process, not to the system, when it is dropped. Thread-safe."""

    def __init__(self, make: Callable[[Any], Net]) -> None:
        self._make = make
        self._nets: dict[Hashable, Net] = {}
        self._one_at_a_time = threading.Lock()

    def __call__(self, kind: Hashable) -> Net:
        with self._one_at_a_time:
            if kind not in self._nets:
                self._nets[kind] = self._make(kind)
            return self._nets[kind]
