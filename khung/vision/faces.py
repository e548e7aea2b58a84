"""Faces and what they show: BlazeFace (short range) finds them, a small FER network names the emotion.

BlazeFace: Bazarevsky et al. 2019, Apache-2.0. The short-range model sees faces that fill a fair part of its square, so
it looks at the whole frame and at the upper half of every person that the object detector found.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from khung.records import Region
from khung.vision import Image
from khung.vision.objects import non_maximum
from khung.vision.pixels import shrunk
from khung.vision.runtime import Net, Outputs, cores
from khung.vision.towers import ahead

EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")  # the order of the network's output
FACE_SIDE, EMOTION_SIDE = 128, 64
MIN_FACE = 0.75  # probability
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


class FaceReader:
    """Call it with images and the objects found in each."""

    code_version = 1

    def __init__(self, faces: Path, emotions: Path, *, threads: int = 0) -> None:
        self._find = Net(faces, threads=threads, wide=True)
        self._feel = Net(emotions, threads=threads, wide=True)
        self._anchors = _anchors()
        self._pool = ThreadPoolExecutor(threads or cores(), "faces")  # scaling the frames takes as long as the network

    def __call__(self, images: Sequence[Image], regions: Sequence[Sequence[Region]]) -> list[tuple[Face, ...]]:
        """The squares of all frames go through the network together, then the faces that were found in them: one at a time would
        leave cores idle."""
        windows = [[(0, 0, i.shape[1], i.shape[0]), *_heads(i, r)] for i, r in zip(images, regions, strict=True)]
        jobs = [(image, one) for image, ones in zip(images, windows, strict=True) for one in ones]
        outputs = iter(self._find.map(ahead(self._pool, jobs, lambda job: _square(*job)[None], 4 * cores())))
        places = [self._places(image, ones, outputs) for image, ones in zip(images, windows, strict=True)]
        feelings = iter(
            self._feel.map(_grey(image, box) for image, some in zip(images, places, strict=True) for box, _ in some)
        )
        return [
            tuple(_face(image, box, score, next(feelings)[0][0]) for box, score in some)
            for image, some in zip(images, places, strict=True)
        ]

    def _places(
        self, image: Image, windows: Sequence[Sequence[int]], outputs: Iterator[Outputs]
    ) -> list[tuple[np.ndarray, float]]:
        """The boxes in pixels and their scores, of the next outputs: as many as there are windows."""
        offsets, logits = map(np.concatenate, zip(*(next(outputs) for _ in windows), strict=True))
        scores = 1 / (1 + np.exp(-np.clip(logits[..., 0], -80, 80)))
        found = np.concatenate([self._boxes(offsets[i], scores[i], window) for i, window in enumerate(windows)])
        boxes = np.clip(found, 0, [image.shape[1], image.shape[0]] * 2).astype(int)
        sure = np.concatenate([row[row >= MIN_FACE] for row in scores])
        kept = non_maximum(boxes, sure, np.zeros(len(boxes)), 0.3)
        return [(boxes[i], float(sure[i])) for i in kept if min(boxes[i, 2:] - boxes[i, :2]) >= MIN_PIXELS]

    def _boxes(self, offsets: np.ndarray, scores: np.ndarray, window: Sequence[int]) -> np.ndarray:
        """Pixels of the frame. The network gives centre (relative to its anchor) and size in pixels of its square."""
        offsets, anchors = offsets[scores >= MIN_FACE] / FACE_SIDE, self._anchors[scores >= MIN_FACE]
        left, top, right, bottom = window
        side = max(right - left, bottom - top)
        centre = (offsets[:, :2] + anchors) * side + np.array([left, top])
        half = offsets[:, 2:4] * side / 2
        return np.hstack([centre - half, centre + half])


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


def _heads(image: Image, regions: Sequence[Region]) -> list[tuple[int, int, int, int]]:
    """The upper halves of the largest people, in pixels."""
    height, width = image.shape[:2]
    people = sorted((r.box for r in regions if r.label == "person"), key=lambda b: (b[0] - b[2]) * (b[3] - b[1]))
    windows = [
        (int(b[0] * width), int(b[1] * height), int(b[2] * width), int((b[1] + b[3]) / 2 * height)) for b in people
    ]
    return [w for w in windows[:MAX_PEOPLE] if w[2] - w[0] >= MIN_PIXELS and w[3] - w[1] >= MIN_PIXELS]


def _square(image: Image, window: Sequence[int]) -> np.ndarray:
    """`(FACE_SIDE, FACE_SIDE, 3)` float32 in [-1, 1]: the window in the top left corner, the rest black."""
    left, top, right, bottom = window
    scale = FACE_SIDE / max(right - left, bottom - top)
    size = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
    canvas = np.full((FACE_SIDE, FACE_SIDE, 3), -1, np.float32)
    canvas[: size[1], : size[0]] = shrunk(image[top:bottom, left:right], *size).astype(np.float32) / 127.5 - 1
    return canvas


def _anchors() -> np.ndarray:
    """`(896, 2)` centres: two at each cell of a 16 × 16 grid, then six at each of an 8 × 8 grid."""
    grids = []
    for cells, each in ((16, 2), (8, 6)):
        centres = (np.stack(np.meshgrid(np.arange(cells), np.arange(cells)), -1).reshape(-1, 2) + 0.5) / cells
        grids.append(np.repeat(centres, each, axis=0))
    return np.concatenate(grids).astype(np.float32)
