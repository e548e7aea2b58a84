"""Faces and what they show: BlazeFace (short range) finds them, a small FER network names the emotion.

BlazeFace: Bazarevsky et al. 2019, Apache-2.0. The short-range model sees faces that fill a fair part of its square, so
it looks at the whole frame and at the upper half of every person that the object detector found. What is scaled into the square leaves
a part of it black; of a wide or an upright picture the network is spared the rows or columns of it (`fitting`).
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain
from math import log
from pathlib import Path
from typing import Any

import numpy as np

from khung.records import Region
from khung.vision import Image
from khung.vision.objects import non_maximum
from khung.vision.pixels import shrunk
from khung.vision.runtime import Net, OneForEach, Outputs, cores, taking_bytes
from khung.vision.towers import ahead

EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")  # the order of the network's output
FACE_SIDE, EMOTION_SIDE = 128, 64
NARROW = 96  # the shorter side of the input of a wide or an upright picture: 16:9 fills 72 of it
AT_ONCE = 4  # windows of one shape in one call of the network, which is so small that a call costs a third of its time
GRIDS = ((8, 2), (16, 6))  # strides, and anchors at each cell
MIN_FACE = 0.75  # probability
LEAST_LOGIT = log(MIN_FACE / (1 - MIN_FACE))
MIN_EMOTION = 0.8
MIN_PIXELS = 40  # a smaller face says nothing sure
MAX_PEOPLE = 6  # the largest ones are looked at


@dataclass(frozen=True, slots=True)
class Face:
    """`box` in fractions of the frame; `emotion` is "" when the network is not sure."""

    box: tuple[float, float, float, float]
    score: float
    emotion: str
    emotion_score: float


Window = tuple[int, int, int, int]
"""A part of a frame: left, top, right, bottom in pixels."""

Shape = tuple[int, int]


class FaceReader:
    """Call it with images and the objects found in each."""

    code_version = 2

    def __init__(self, faces: Path, emotions: Path, *, threads: int = 0) -> None:
        def net(kind: tuple[int, Shape]) -> Net:
            return Net(faces, threads=threads, wide=True, adapt=looking(*kind))

        self._find, self._shape = OneForEach(net), fitting  # for three shapes, AT_ONCE and alone
        # Made now, so that a file that is no such network is told of at once; most frames are wide.
        self._find((AT_ONCE, (NARROW, FACE_SIDE)))
        # Not `wide`: with two streams OpenVINO 2026.4 spoils this file's weights in one of three loads.
        self._feel = Net(emotions, threads=threads)
        self._pool = ThreadPoolExecutor(threads or cores(), "faces")  # scaling the frames takes as long as the network

    def __call__(self, images: Sequence[Image], regions: Sequence[Sequence[Region]]) -> list[tuple[Face, ...]]:
        """The squares of all frames go through the network together, then the faces that were found in them: one at a time would
        leave cores idle."""
        windows = [[(0, 0, i.shape[1], i.shape[0]), *_heads(i, r)] for i, r in zip(images, regions, strict=True)]
        found = iter(self._look([(image, one) for image, ones in zip(images, windows, strict=True) for one in ones]))
        places = [_places(i, [next(found) for _ in ones]) for i, ones in zip(images, windows, strict=True)]
        feelings = iter(
            self._feel.map(_grey(image, box) for image, some in zip(images, places, strict=True) for box, _ in some)
        )
        return [
            tuple(_face(image, box, score, next(feelings)[0][0]) for box, score in some)
            for image, some in zip(images, places, strict=True)
        ]

    def _look(self, jobs: Sequence[tuple[Image, Window]]) -> list[tuple[np.ndarray, np.ndarray]]:
        """The faces of each window: `(n, 4)` boxes in pixels of the frame, and their scores."""
        alike: dict[Shape, list[int]] = {}
        for i, (_, window) in enumerate(jobs):
            alike.setdefault(self._shape(window), []).append(i)
        found = [(np.empty((0, 4)), np.empty(0))] * len(jobs)
        for shape, places in alike.items():
            whole = len(places) // AT_ONCE * AT_ONCE
            for count, some in ((AT_ONCE, places[:whole]), (1, places[whole:])):
                parts = [some[i : i + count] for i in range(0, len(some), count)]
                inputs = ahead(self._pool, parts, lambda part, s=shape: _canvases(jobs, part, s), 2 * cores())
                answers = self._find((count, shape)).map(inputs, partial(_sure, shape)) if parts else []
                for i, one in zip(some, chain.from_iterable(answers), strict=True):
                    found[i] = _boxes(*one, jobs[i][1])
        return found


def looking(count: int, shape: Shape) -> Callable[[Any], Any]:
    """The change of BlazeFace's graph to one that takes `(count, *shape, 3)` uint8, made [-1, 1] inside."""
    return taking_bytes(127.5, 127.5, (count, *shape, 3))


def fitting(window: Window) -> Shape:
    """Height and width of the input that holds the window, scaled to FACE_SIDE."""
    width, height = _scaled(window)
    if height <= NARROW:
        return NARROW, FACE_SIDE
    return (FACE_SIDE, NARROW) if width <= NARROW else (FACE_SIDE, FACE_SIDE)


def _scaled(window: Window) -> tuple[int, int]:
    """Width and height."""
    width, height = window[2] - window[0], window[3] - window[1]
    scale = FACE_SIDE / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def canvas(image: Image, window: Window, shape: Shape) -> Image:
    """`(*shape, 3)` uint8: the window in the top left corner, the rest black."""
    left, top, right, bottom = window
    width, height = _scaled(window)
    pixels = np.zeros((*shape, 3), np.uint8)
    pixels[:height, :width] = shrunk(image[top:bottom, left:right], width, height)
    return pixels


def _canvases(jobs: Sequence[tuple[Image, Window]], places: Sequence[int], shape: Shape) -> np.ndarray:
    return np.stack([canvas(*jobs[i], shape) for i in places])


def _sure(shape: Shape, outputs: Outputs) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each canvas: centre and size `(n, 4)` of what is likely a face, in sides of the square, and its logits."""
    offsets, logits = outputs[0][0], outputs[1][0, :, 0]
    anchors, rows = _anchors(shape), _rows(shape, len(logits) // len(_anchors(shape)))
    found = []
    for of in rows:
        at = np.flatnonzero(logits[of] >= LEAST_LOGIT)
        boxes = (
            offsets[of[at], :4] / FACE_SIDE
        )  # the network gives the centre as seen from its anchor, in pixels of its square
        boxes[:, :2] += anchors[at]
        found.append((boxes, logits[of[at]]))
    return found


@cache
def _rows(shape: Shape, count: int) -> np.ndarray:
    """`(count, anchors)`: where each canvas's anchors stand in the output, which has the first grid of all canvases before the second."""
    sizes = [(shape[0] // stride) * (shape[1] // stride) * each for stride, each in GRIDS]
    starts = np.cumsum([0, *(count * size for size in sizes[:-1])])
    grids = [start + np.arange(count * size).reshape(count, size) for start, size in zip(starts, sizes, strict=True)]
    return np.concatenate(grids, axis=1)


def _boxes(found: np.ndarray, logits: np.ndarray, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Corners in pixels of the frame, and probabilities."""
    left, top, right, bottom = window
    side = max(right - left, bottom - top)
    centre, half = found[:, :2] * side + np.array([left, top]), found[:, 2:] * side / 2
    return np.hstack([centre - half, centre + half]), 1 / (1 + np.exp(-logits))


def _places(image: Image, found: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[tuple[np.ndarray, float]]:
    """The boxes in pixels and their scores, of all windows of a frame: each face once, none too small."""
    boxes, scores = map(np.concatenate, zip(*found, strict=True))
    boxes = np.clip(boxes, 0, [image.shape[1], image.shape[0]] * 2).astype(int)
    kept = non_maximum(boxes, scores, np.zeros(len(boxes)), 0.3)
    return [(boxes[i], float(scores[i])) for i in kept if min(boxes[i, 2:] - boxes[i, :2]) >= MIN_PIXELS]


def _grey(image: Image, box: np.ndarray) -> np.ndarray:
    """`(1, EMOTION_SIDE, EMOTION_SIDE, 1)` float32 in [-1, 1]."""
    import cv2

    left, top, right, bottom = box
    grey = cv2.cvtColor(image[top:bottom, left:right], cv2.COLOR_RGB2GRAY)
    return (cv2.resize(grey, (EMOTION_SIDE, EMOTION_SIDE)).astype(np.float32) / 127.5 - 1)[None, :, :, None]


def _face(image: Image, box: np.ndarray, score: float, probabilities: np.ndarray) -> Face:
    height, width = image.shape[:2]
    best = int(probabilities.argmax())
    sure = float(probabilities[best])
    place = tuple(round(float(edge), 4) for edge in box / (width, height, width, height))
    return Face(place, round(score, 4), EMOTIONS[best] if sure >= MIN_EMOTION else "", round(sure, 4))


def _heads(image: Image, regions: Sequence[Region]) -> list[Window]:
    """The upper halves of the largest people, in pixels."""
    height, width = image.shape[:2]
    people = sorted((r.box for r in regions if r.label == "person"), key=lambda b: (b[0] - b[2]) * (b[3] - b[1]))
    windows = [
        (int(b[0] * width), int(b[1] * height), int(b[2] * width), int((b[1] + b[3]) / 2 * height)) for b in people
    ]
    return [w for w in windows[:MAX_PEOPLE] if w[2] - w[0] >= MIN_PIXELS and w[3] - w[1] >= MIN_PIXELS]


@cache
def _anchors(shape: Shape) -> np.ndarray:
    """`(n, 2)` centres in sides of the square: for 128 × 128 two at each cell of a 16 × 16 grid, then six at each of an 8 × 8 grid."""
    grids = []
    for stride, each in GRIDS:
        rows, columns = (side // stride for side in shape)
        cells = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1).reshape(-1, 2)
        grids.append(np.repeat((cells + 0.5) * stride / FACE_SIDE, each, axis=0))
    return np.concatenate(grids).astype(np.float32)
