"""Objects of a frame: YOLOX-nano over the 80 classes of COCO (Ge et al. 2021, Apache-2.0).

Boxes are fractions of the frame. What the objects mean in a sentence or a vector is the business of `compose.py` and
`conse.py`.
"""

from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np

from khung.records import Region
from khung.vision import Image
from khung.vision.eight_bits import Precision
from khung.vision.runtime import Net, OneForEach, Outputs
from khung.vision.vocabulary import objects
from khung.vision.yolox import Shape, taking

SIDE = 416  # the input is SIDE × SIDE, the frame scaled into its top left corner
SHORTER = (
    192,
    256,
    320,
    SIDE,
)  # the other side of a smaller input: cinema, 16:9, 4:3, square; seven networks for all shapes of frames
GREY = 114  # the rest, as in training
STRIDES = (8, 16, 32)
MIN_SCORE = 0.4  # objectness × class probability; a sentence asks for more (compose.SURE_OBJECT)
MAX_OVERLAP = 0.45  # IoU above which two boxes of one class are the same thing


class ObjectDetector:
    """YOLOX-nano. Call it with images, get their Regions, the surest first.

    Its `exact` form looks at the whole square, as it was trained; in 8 bits it is spared the rows or columns of grey (`fitting`).
    """

    code_version = 1
    fitting_version = 2  # of what the 8-bit form does with the grey

    def __init__(
        self, path: Path, *, threads: int = 0, min_score: float = MIN_SCORE, precision: Precision = "exact"
    ) -> None:
        def net(shape: Shape) -> Net:
            return Net(path, threads=threads, wide=True, precision=precision, adapt=taking(shape))

        self._nets = OneForEach(net)
        self._shape = fitting if precision == "int8" else lambda image: (SIDE, SIDE)
        self._nets(
            self._shape(np.empty((9, 16, 3), np.uint8))
        )  # a file that is no such network is told of now; most frames are wide
        self._names = [thing.en for thing in objects()]
        self._min_score = min_score

    def __call__(self, images: Sequence[Image]) -> list[tuple[Region, ...]]:
        alike: dict[Shape, list[int]] = {}
        for i, image in enumerate(images):
            alike.setdefault(self._shape(image), []).append(i)
        found: dict[int, tuple[Region, ...]] = {}
        for shape, places in alike.items():
            inputs = (letterbox(images[i], shape)[None] for i in places)
            cells = self._nets(shape).map(inputs, partial(self._sure, shape))
            found |= {i: self._regions(*some, images[i]) for i, some in zip(places, cells, strict=True)}
        return [found[i] for i in range(len(images))]

    def _sure(self, shape: Shape, outputs: Outputs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of the cells whose objectness alone reaches the score, which no class can raise: rows of the output (copied), grid, strides."""
        rows = outputs[0][0]
        at = np.flatnonzero(rows[:, 4] >= self._min_score)
        grid, stride = _grid(shape)
        return rows[at], grid[at], stride[at]

    def _regions(self, raw: np.ndarray, grid: np.ndarray, stride: np.ndarray, image: Image) -> tuple[Region, ...]:
        """`raw`: `(cells, 5 + classes)`: centre and log size in strides, objectness, class probabilities."""
        scores = raw[:, 4] * raw[:, 5:].max(1)
        keep = scores >= self._min_score
        raw, scores = raw[keep], scores[keep]
        kinds = raw[:, 5:].argmax(1)
        centre = (raw[:, :2] + grid[keep]) * stride[keep]
        half = np.exp(raw[:, 2:4]) * stride[keep] / 2
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


def fitting(image: Image) -> Shape:
    """The smallest input that holds the scaled frame: one of 16:9 fills little more than half of the square."""
    height, width = (next(one for one in SHORTER if one >= side) for side in _scaled(image))
    return height, width


def letterbox(image: Image, shape: Shape = (SIDE, SIDE)) -> Image:
    """`(*shape, 3)` uint8: the frame in the top left corner, the rest grey."""
    import cv2

    height, width = _scaled(image)
    canvas = np.full((*shape, 3), GREY, np.uint8)
    canvas[:height, :width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    return canvas


def _scaled(image: Image) -> Shape:
    scale = min(SIDE / image.shape[0], SIDE / image.shape[1])
    return max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale))


def _fractions(boxes: np.ndarray, image: Image) -> np.ndarray:
    height, width = image.shape[:2]
    scale = min(SIDE / height, SIDE / width)
    return np.clip(boxes / scale / np.array([width, height, width, height]), 0, 1)


@cache
def _grid(shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Of each output cell: its column and row `(n, 2)`, and its stride `(n, 1)`."""
    cells, strides = [], []
    for stride in STRIDES:
        rows, columns = (side // stride for side in shape)
        cells.append(np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1).reshape(-1, 2))
        strides.append(np.full((rows * columns, 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(strides).astype(np.float32)
