"""TransNetV2 (Souček & Lokoč 2020) over the 48×27 pictures of a whole video, by OpenVINO on one or two cores.

The network looks at 100 frames and answers for the 50 in the middle, so windows start every 50 frames; before the first and after the
last frame, that frame is repeated, as the authors do. Two answers a frame: `one_hot`, is a transition's middle here, and
`many_hot`, is this frame part of a transition. What to make of them is decided in boundaries.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from khung.errors import ModelError
from khung.shots.calm import is_calm
from khung.shots.lengthen import lengthen
from khung.shots.winograd import rewrite
from khung.vision.eight_bits import cpu_has_int8, quantise, sha256_of

if TYPE_CHECKING:
    import openvino

Precision = Literal["auto", "exact", "int8"]
NAME = "transnetv2.onnx"
WINDOW, STRIDE, CONTEXT = 100, 50, 25
LONG = 4  # windows that one long window answers for, at the price of two and a half


@dataclass(frozen=True, slots=True)
class Prediction:
    """Probabilities float32 `(frames,)`. A peak at frame i means: the cut lies between i and i + 1."""

    one_hot: np.ndarray
    many_hot: np.ndarray


class TransNet:
    """The network, compiled once. The file is the ONNX form of the authors' weights (khung.vision.files, `transnetv2.onnx`).

    `precision`: `exact` computes in float32, window by window, as the authors do (winograd.py: in fewer multiplications). `int8` finds the same cuts several times as fast: in 8
    bits (khung/vision/eight_bits.py; the rest in bfloat16 where the processor has it), in longer windows (lengthen.py), and not at all where nothing
    happens (calm.py). `auto` takes `int8` where the processor has the instructions for it; where it has not, `int8` rounds alike in float32. Raises ModelError.
    """

    def __init__(self, model_path: Path, *, threads: int = 1, precision: Precision = "auto") -> None:
        import openvino

        self.precision = ("int8" if cpu_has_int8() else "exact") if precision == "auto" else precision
        self._core, self._path, self._threads = openvino.Core(), model_path, threads
        self._short = self._compiled(WINDOW)

    @cached_property
    def _long(self) -> "openvino.CompiledModel":
        """Only videos of more than two windows need it."""
        return self._compiled(STRIDE * LONG + 2 * CONTEXT)

    def _compiled(self, frames: int) -> "openvino.CompiledModel":
        try:
            model = self._core.read_model(str(self._path))
        except RuntimeError as error:
            raise ModelError(
                f"TransNetV2 cannot be read from {self._path}.", cure="Run `khung models pull`."
            ) from error
        if self.precision == "int8":
            setting = "KHUNG_EXTRACT_TRANSNET_PRECISION"
            quantise(model, NAME, sha256_of(self._path), setting=setting, integers=cpu_has_int8())
        else:
            rewrite(model)
        if frames != WINDOW:
            model = lengthen(model, frames)
        halves = self.precision == "int8" and "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        options = {"INFERENCE_NUM_THREADS": self._threads, "INFERENCE_PRECISION_HINT": "bf16" if halves else "f32"}
        return self._core.compile_model(model, "CPU", options)

    def predict(self, frames: np.ndarray, progress: Callable[[int], None] | None = None) -> Prediction:
        """`frames`: RGB uint8 (n, 27, 48, 3), memory-mapped or not. `progress` gets the number of frames done."""
        count = len(frames)
        scores = np.zeros((2, count), np.float32)
        for first in range(0, count, STRIDE * LONG):
            starts = range(first, min(first + STRIDE * LONG, count), STRIDE)
            for start, network, stride in self._looks(frames, starts):
                end = min(start + stride, count)
                window = frames_around(frames, start, stride)
                scores[:, start:end] = network([packed(window)])[0][0, :2, 0, : end - start]
            if progress:
                progress(min(first + STRIDE * LONG, count))
        return Prediction(one_hot=scores[0], many_hot=scores[1])

    def _looks(self, frames: np.ndarray, starts: range) -> "list[tuple[int, openvino.CompiledModel, int]]":
        """Which windows of some neighbouring ones to compute: where each starts, by which network, and for how many frames."""
        if self.precision == "exact":
            return [(start, self._short, STRIDE) for start in starts]
        lively = [start for start in starts if not is_calm(frames_around(frames, start, STRIDE))]
        if len(lively) > 2:  # then the long one is cheaper
            return [(starts[0], self._long, STRIDE * LONG)]
        return [(start, self._short, STRIDE) for start in lively]


def frames_around(frames: np.ndarray, start: int, count: int) -> np.ndarray:
    """`count` frames from `start` on, and 25 before and after; beyond an end of the video its last picture is repeated."""
    return frames[np.clip(np.arange(start - CONTEXT, start + count + CONTEXT), 0, len(frames) - 1)]


def packed(window: np.ndarray) -> np.ndarray:
    """The frames side by side as the file wants them: float32 (1, 3, 27, n · 48) in [0, 1]."""
    return window.transpose(3, 1, 0, 2).reshape(1, 3, window.shape[1], -1).astype(np.float32) / 255
