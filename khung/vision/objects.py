"""Objects of a frame: YOLOX-nano over the 80 classes of COCO (Ge et al. 2021, Apache-2.0).

Boxes are fractions of the frame. What the objects mean in a sentence or a vector is the business of `compose.py` and
`conse.py`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from khung.records import Region
from khung.vision import Image
from khung.vision.eight_bits import Precision
from khung.vision.runtime import Net
from khung.vision.vocabulary import objects

SIDE = 416  # the input is SIDE × SIDE, the frame scaled into its top left corner
GREY = 114  # the rest, as in training
STRIDES = (8, 16, 32)
MIN_SCORE = 0.4  # objectness × class probability; a sentence asks for more (compose.SURE_OBJECT)
MAX_OVERLAP = 0.45  # IoU above which two boxes of one class are the same thing


class ObjectDetector:
    """YOLOX-nano. Call it with images, get their Regions, the surest first."""

    code_version = 1

    def __init__(
        self, path: Path, *, threads: int = 0, min_score: float = MIN_SCORE, precision: Precision = "exact"
    ) -> None:
        self._net = Net(path, threads=threads, wide=True, precision=precision, adapt=takes_bytes)
        self._names = [thing.en for thing in objects()]
        self._grid, self._stride = _grid()
        self._min_score = min_score

    def __call__(self, images: Sequence[Image]) -> list[tuple[Region, ...]]:
        raw = self._net.map(letterbox(image)[None] for image in images)
        return [self._regions(cells[0], image) for (cells,), image in zip(raw, images, strict=True)]

    def _regions(self, raw: np.ndarray, image: Image) -> tuple[Region, ...]:
        """`raw`: `(cells, 5 + classes)`: centre and log size in strides, objectness, class probabilities."""
        scores = raw[:, 4] * raw[:, 5:].max(1)
        keep = scores >= self._min_score
        kinds, scores = raw[keep, 5:].argmax(1), scores[keep]
        centre = (raw[keep, :2] + self._grid[keep]) * self._stride[keep]
        half = np.exp(raw[keep, 2:4]) * self._stride[keep] / 2
        boxes = _fractions(np.hstack([centre - half, centre + half]), image)
        return tuple(
            Region(self._names[kinds[i]], round(float(scores[i]), 4), tuple(round(float(v), 4) for v in boxes[i]))
            for i in non_maximum(boxes, scores, kinds, MAX_OVERLAP)
        )


def non_maximum(boxes: np.ndarray, scores: np.ndarray, kinds: np.ndarray, max_overlap: float) -> list[int]:
    """Positions of the boxes to keep, the surest first: of two of one kind that overlap more, only the surer."""
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable").tolist():
        same = [k for k in kept if kinds[k] == kinds[i]]
        if not same or overlap(boxes[same], boxes[i]).max() <= max_overlap:
            kept.append(i)
    return kept


def overlap(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Intersection over union of `(n, 4)` boxes with one."""
    size = np.clip(np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2]), 0, None)
    common = size.prod(1)
    return common / ((boxes[:, 2:] - boxes[:, :2]).prod(1) + (box[2:] - box[:2]).prod() - common + 1e-12)


def letterbox(image: Image) -> Image:
    """`(SIDE, SIDE, 3)` uint8: the frame in the top left corner, the rest grey."""
    import cv2

    height, width = image.shape[:2]
    scale = min(SIDE / height, SIDE / width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    canvas = np.full((SIDE, SIDE, 3), GREY, np.uint8)
    canvas[: size[1], : size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    return canvas


def takes_bytes(graph: Any) -> Any:
    """The graph with RGB uint8 pixels, colour last, as its input. It was trained on BGR in 0..255, colour first."""
    from openvino import Layout, Type
    from openvino.preprocess import PrePostProcessor

    _look_at_pixels(graph)
    steps = PrePostProcessor(graph)
    steps.input().tensor().set_element_type(Type.u8).set_layout(Layout("NHWC"))
    steps.input().model().set_layout(Layout("NCHW"))
    return steps.build()


def _look_at_pixels(graph: Any) -> None:
    """YOLOX deals the pixels of each 2 × 2 square into twelve channels ("focus") and looks at 3 × 3 of these. That is a 6 × 6
    convolution with stride 2 over the pixels themselves: the same sums, without the dealing, which costs a seventh of the time. Blue
    and red change places in its weights, too."""
    from openvino import opset13 as ops

    first = next(node for node in graph.get_ordered_ops() if node.get_type_name() == "Convolution")
    dealt = (
        first.input_value(1).get_node().get_data()
    )  # (out, 4 places × BGR, 3, 3); places: top left, below it, right of it, both
    out = len(dealt)
    parts = dealt.reshape(out, 2, 2, 3, 3, 3)[:, :, :, ::-1]  # out, column, row, colour, 3, 3
    weights = parts.transpose(0, 3, 4, 2, 5, 1).reshape(out, 3, 6, 6)
    pixels = ops.convolution(graph.inputs[0], np.ascontiguousarray(weights), [2, 2], [2, 2], [2, 2], [1, 1])
    first.output(0).replace(pixels.output(0))


def _fractions(boxes: np.ndarray, image: Image) -> np.ndarray:
    height, width = image.shape[:2]
    scale = min(SIDE / height, SIDE / width)
    return np.clip(boxes / scale / np.array([width, height, width, height]), 0, 1)


def _grid() -> tuple[np.ndarray, np.ndarray]:
    """Of each output cell: its column and row `(n, 2)`, and its stride `(n, 1)`."""
    cells, strides = [], []
    for stride in STRIDES:
        side = SIDE // stride
        cells.append(np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2))
        strides.append(np.full((side * side, 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(strides).astype(np.float32)
