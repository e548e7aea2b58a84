"""TransNetV2 over longer windows: of 250 frames it answers for 200 instead of for 50 of 100, at 0.62 of the arithmetic for each.

Every layer looks at neighbours in time and at nothing else, so the weights fit any length; the file's graph, however, names its 100 frames
in constants, which are replaced here. Where the authors' windows end in zeros a frame now sees its real neighbours, so that probabilities
differ a little; a test and bench/video_shots.py hold the cuts against those of the exact mode.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from khung.errors import ModelError

if TYPE_CHECKING:
    import openvino

_FRAMES, _CONTEXT = 100, 25  # of the file: frames a window, and those at each end that get no answer
_BINS = 512  # of the histograms that are compared between frames
_REACH = 101  # frames that each frame is compared with, itself in the middle


def lengthen(model: "openvino.Model", frames: int) -> "openvino.Model":
    """The model for windows of so many frames; the first and the last 25 get no answer. Raises ModelError when it is another file."""
    import openvino
    from openvino import opset13 as ops

    known = list(zip(_constants(_FRAMES), _constants(frames), strict=True))
    found = set()
    for node in model.get_ordered_ops():
        if node.get_type_name() != "Constant":
            continue
        values = node.get_data()
        for place, (old, new) in enumerate(known):
            if np.array_equal(values, old):
                found.add(place)
                longer = ops.constant(new.astype(values.dtype))
                for reader in node.output(0).get_target_inputs():
                    reader.replace_source_output(longer.output(0))
    if len(found) < len(known):
        raise ModelError("TransNetV2's file is not the one that is known.", cure="Run `khung models pull`.")
    model.get_parameters()[0].set_partial_shape(openvino.PartialShape([1, 3, 27, 48 * frames]))
    model.validate_nodes_and_infer_types()
    return model


def _constants(frames: int) -> Iterator[np.ndarray]:
    """Those of the graph that depend on the length of a window, in one order for every length."""
    for shape in (
        (1, 3, 27, frames, 48), (frames, 27 * 48, 3), (1, frames, _BINS), (frames, _REACH), (frames, 448),
        (1, frames, 128), (1, frames, 4608), (frames, 4864), (1, frames, 1024), (frames, 1024),
    ):  # fmt: skip
        yield np.array(shape)
    rows = np.arange(frames)
    yield np.array([_BINS * frames])
    yield _BINS * rows[:, None]  # where each frame's histogram begins
    yield np.ones((frames, 27 * 48))  # what each pixel adds to it
    yield np.stack(np.broadcast_arrays(0, rows[:, None], rows[:, None] + np.arange(_REACH)), -1)[None]
    yield np.array([2**31 - 1, frames - _CONTEXT, 1])  # where the answers end
    yield np.ones((1, 1, frames - 2 * _CONTEXT))  # a third answer, always one
