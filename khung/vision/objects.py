"""Objects of a frame: YOLOX-nano over the 80 classes of COCO (Ge et al. 2021, Apache-2.0).

Boxes are fractions of the frame. What the objects mean in a sentence or a vector is the business of `compose.py` and
`conse.py`.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from khung.records import Region
from khung.vision import Image
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

    def __init__(self, path: Path, *, threads: int = 0, min_score: float = MIN_SCORE) -> None:
        self._net = Net(path, threads=threads, wide=True)
        self._names = [thing.en for thing in objects()]
        self._grid, self._stride = _grid()
        self._min_score = min_score

    def __call__(self, images: Sequence[Image]) -> list[tuple[Region, ...]]:
        raw = self._net.map(_letterbox(image)[None] for image in images)
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


def _letterbox(image: Image) -> np.ndarray:
    """`(3, SIDE, SIDE)` float32, BGR in 0..255."""
    import cv2

    height, width = image.shape[:2]
    scale = min(SIDE / height, SIDE / width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    canvas = np.full((SIDE, SIDE, 3), GREY, np.uint8)
    canvas[: size[1], : size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(canvas[..., ::-1].transpose(2, 0, 1), np.float32)


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
