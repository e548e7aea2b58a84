"""TransNetV2 (Souček & Lokoč 2020) over the 48×27 pictures of a whole video, by OpenVINO on one or two cores.

The network looks at 100 frames and answers for the 50 in the middle, so windows start every 50 frames; before the first and after the
last frame, that frame is repeated, as the authors do. Two answers a frame: `one_hot`, is a transition's middle here, and
`many_hot`, is this frame part of a transition. What to make of them is decided in boundaries.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from khung.errors import ModelError
from khung.shots.quantise import cpu_has_int8, quantise

Precision = Literal["auto", "exact", "int8"]
WINDOW, STRIDE, CONTEXT = 100, 50, 25
LAG, STILL = 12, 5.0  # on all known clips no window below 6 has a probability above 0.01


@dataclass(frozen=True, slots=True)
class Prediction:
    """Probabilities float32 `(frames,)`. A peak at frame i means: the cut lies between i and i + 1."""

    one_hot: np.ndarray
    many_hot: np.ndarray


class TransNet:
    """The network, compiled once. The file is the ONNX form of the authors' weights (khung.vision.files, `transnetv2.onnx`).

    `precision`: `exact` computes in float32 as the authors do; `int8` (see quantise.py; what is not in 8 bits is in bfloat16 where
    the processor has it) is several times as fast, passes over windows in which nothing changes, and finds the same cuts; `auto` takes `int8` where the processor has the instructions for it. Raises ModelError.
    """

    def __init__(self, model_path: Path, *, threads: int = 1, precision: Precision = "auto") -> None:
        import openvino

        self.precision = ("int8" if cpu_has_int8() else "exact") if precision == "auto" else precision
        core = openvino.Core()
        try:
            model = core.read_model(str(model_path))
        except RuntimeError as error:
            raise ModelError(
                f"TransNetV2 cannot be read from {model_path}.", cure="Run `khung models pull`."
            ) from error
        if self.precision == "int8":
            model = quantise(model, model_path)
        halves = self.precision == "int8" and "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "bf16" if halves else "f32"}
        self._network = core.compile_model(model, "CPU", options)

    def predict(self, frames: np.ndarray, progress: Callable[[int], None] | None = None) -> Prediction:
        """`frames`: RGB uint8 (n, 27, 48, 3), memory-mapped or not. `progress` gets the number of frames done."""
        count = len(frames)
        scores = np.zeros((2, count), np.float32)
        for start in range(0, count, STRIDE):
            window = frames[np.clip(np.arange(start - CONTEXT, start - CONTEXT + WINDOW), 0, count - 1)]
            end = min(start + STRIDE, count)
            if self.precision == "exact" or not is_still(window):
                scores[:, start:end] = self._scores(window)[:, : end - start]
            if progress:
                progress(end)
        return Prediction(one_hot=scores[0], many_hot=scores[1])

    def _scores(self, window: np.ndarray) -> np.ndarray:
        """(2, 50) of one window."""
        return self._network([packed(window)])[0][0, :2, 0]


def is_still(window: np.ndarray) -> bool:
    """Does no frame differ by `STILL` grey levels from the one `LAG` frames before? There is no cut there, nor a dissolve."""
    steps = np.abs(window[LAG:].astype(np.int16) - window[:-LAG]).mean(axis=(1, 2, 3))
    return bool(steps.max() < STILL)


def packed(window: np.ndarray) -> np.ndarray:
    """100 frames side by side as the file wants them: float32 (1, 3, 27, 100 · 48) in [0, 1]."""
    return window.transpose(3, 1, 0, 2).reshape(1, 3, window.shape[1], -1).astype(np.float32) / 255
