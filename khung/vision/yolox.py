"""YOLOX's graph as khung runs it: bytes go in as a frame has them, the input is as large as is asked for, cells come out in rows.

The same sums as in its file, in another order; what the rows mean is the business of `objects.py`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

Shape = tuple[int, int]
"""Height and width of an input, multiples of 32."""


def taking(shape: Shape) -> Callable[[Any], Any]:
    """The change of the file's graph to one that takes `(1, height, width, 3)` RGB uint8 and gives `(1, cells, 85)` float32."""

    def adapt(graph: Any) -> Any:
        import openvino

        pixels = _look_at_pixels(graph, shape)
        return openvino.Model([_rows(graph)], [pixels], "yolox")

    return adapt


def _look_at_pixels(graph: Any, shape: Shape) -> Any:
    """The new input. YOLOX deals the pixels of each 2 × 2 square into twelve channels ("focus") and looks at 3 × 3 of these. That is a
    6 × 6 convolution with stride 2 over the pixels themselves, and a 6 × 3 one with strides 2 and 1 over pairs of them: two neighbours in a
    row lie together as six bytes already. The same sums without the dealing, which costs a seventh of the time. Blue and red change
    places in its weights, too: it was trained on BGR in 0..255."""
    from openvino import opset13 as ops

    height, width = shape
    pixels = ops.parameter([1, height, width, 3], np.uint8, name="pixels")
    pairs = ops.reshape(pixels, ops.constant(np.array([1, height, width // 2, 6])), special_zero=False)
    channels = ops.transpose(ops.convert(pairs, "f32"), ops.constant(np.array([0, 3, 1, 2])))
    first = next(node for node in graph.get_ordered_ops() if node.get_type_name() == "Convolution")
    dealt = first.input_value(1).get_node().get_data()
    out = len(dealt)  # (out, 4 places × BGR, 3, 3); places: top left, below it, right of it, both
    parts = dealt.reshape(out, 2, 2, 3, 3, 3)[:, :, :, ::-1]  # out, column, row, colour, 3, 3
    weights = parts.transpose(0, 1, 3, 4, 2, 5).reshape(out, 6, 6, 3)
    sums = ops.convolution(channels, np.ascontiguousarray(weights), [2, 1], [2, 1], [2, 1], [1, 1])
    first.output(0).replace(sums.output(0))
    return pixels


def _rows(graph: Any) -> Any:
    """The file joins the cells of three grids channel by channel and turns the whole; here each grid is turned, which costs nothing as
    a processor lays it out."""
    from openvino import opset13 as ops

    joined = graph.outputs[0].get_node().input_value(0).get_node().input_value(0).get_node()
    grids = [part.get_source_output().get_node().input_value(0) for part in joined.inputs()]
    last = ops.constant(np.array([0, 2, 3, 1]))
    rows = [ops.reshape(ops.transpose(grid, last), ops.constant(np.array([1, -1, 85])), False) for grid in grids]
    return ops.concat(rows, 1)
