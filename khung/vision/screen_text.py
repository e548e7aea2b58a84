"""The embedded TextReader: a detector finds lines, Tesseract reads each in Vietnamese.

Detection: PP-OCR's segmentation network and the box step of Differentiable Binarization (Liao et al. 2020) with its
published thresholds. Recognition: Tesseract's LSTM, one line at a time, because on whole frames it finds no lines.
"""

import os
import threading
import unicodedata
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from khung.records import TextLine
from khung.vision import Image
from khung.vision.runtime import Net, cores

CODE_VERSION = 2
SHORT_SIDE = 384  # smaller frames are enlarged to it: small captions are found only so
LONG_SIDE = 736
MAP_THRESHOLD, BOX_THRESHOLD, UNCLIP, MIN_SIDE = 0.3, 0.5, 1.6, 3
MIN_HEIGHT = 8  # pixels of the frame: below, no letter can be told
MOST_LINES = 40
LINE_HEIGHT = 48  # what a line is scaled to before reading
MIN_CONFIDENCE = 0.5


@dataclass(frozen=True, slots=True)
class TextBox:
    """A rotated rectangle: its corners `(4, 2)` in pixels from the top left clockwise, and the detector's score."""

    corners: np.ndarray
    score: float


class ScreenTextReader:
    """TextReader of the embedded profile. `tessdata` is the folder that holds `vie.traineddata`."""

    def __init__(self, detector: Path, tessdata: Path, *, weights: Sequence[str], threads: int = 0) -> None:
        self._detect = Net(detector, threads=threads, wide=True)
        self._pool = ThreadPoolExecutor(threads or cores(), "screen-text")
        self._tesseract, self._tessdata = _import_tesseract(), tessdata
        self._own = threading.local()
        self.fingerprint = fingerprint_of(weights)

    def read(self, images: Sequence[Image]) -> list[tuple[TextLine, ...]]:
        return list(self._pool.map(self._read, images))  # the detector and Tesseract both let other threads run

    def find(self, image: Image) -> list[TextBox]:
        """The boxes of text, from top to bottom and left to right."""
        (maps,) = self._detect(_prepare(image))
        boxes = [box for box in _boxes(maps[0, 0], image.shape[:2]) if _height(box) >= MIN_HEIGHT]
        return sorted(boxes, key=lambda box: (round(box.corners[0, 1] / 10), box.corners[0, 0]))[:MOST_LINES]

    def _read(self, image: Image) -> tuple[TextLine, ...]:
        lines = (self._line(image, box) for box in self.find(image))
        return tuple(line for line in lines if line)

    def _line(self, image: Image, box: TextBox) -> TextLine | None:
        text, confidence = self._recognise(_black_on_white(_crop(image, box.corners)))
        if confidence < MIN_CONFIDENCE or not any(letter.isalnum() for letter in text):
            return None
        height, width = image.shape[:2]
        low, high = box.corners.min(0) / (width, height), box.corners.max(0) / (width, height)
        edges = tuple(round(float(v), 4) for v in np.clip(np.concatenate([low, high]), 0, 1))
        return TextLine(text, round(confidence, 4), edges)

    def _recognise(self, line: np.ndarray) -> tuple[str, float]:
        """Text and confidence in [0, 1] of one grey line, dark letters on light ground."""
        api = getattr(self._own, "api", None)
        if api is None:  # Tesseract's object belongs to one thread
            library = self._tesseract
            api = self._own.api = library.PyTessBaseAPI(
                path=str(self._tessdata), lang="vie", psm=library.PSM.SINGLE_LINE, oem=library.OEM.LSTM_ONLY
            )
        height, width = line.shape
        api.SetImageBytes(line.tobytes(), width, height, 1, width)
        text = unicodedata.normalize("NFC", " ".join(api.GetUTF8Text().split()))
        return text, max(api.MeanTextConf(), 0) / 100


def fingerprint_of(weights: Sequence[str]) -> str:
    """The reader's fingerprint; no model is needed to know it."""
    return f"ppocr-tesseract-vie/{'-'.join(w[:8] for w in weights)}-{CODE_VERSION}"


def _import_tesseract() -> Any:
    """The library, told to use one thread a line: its OpenMP is slower than that, and reads the limit when it is loaded."""
    before = os.environ.get("OMP_THREAD_LIMIT")
    os.environ["OMP_THREAD_LIMIT"] = "1"
    try:
        import tesserocr
    finally:
        if before is None:
            del os.environ["OMP_THREAD_LIMIT"]
        else:
            os.environ["OMP_THREAD_LIMIT"] = before
    return tesserocr


def _prepare(image: Image) -> np.ndarray:
    """`(1, 3, height, width)` float32 in [-1, 1], BGR, both sides multiples of 32."""
    import cv2

    height, width = image.shape[:2]
    scale = min(max(SHORT_SIDE / min(height, width), 1.0), LONG_SIDE / max(height, width))
    size = [max(32, round(side * scale / 32) * 32) for side in (width, height)]
    scaled = cv2.resize(image, size)[..., ::-1].astype(np.float32) / 127.5 - 1
    return np.ascontiguousarray(scaled.transpose(2, 0, 1))[None]


def _boxes(heat: np.ndarray, frame: tuple[int, int]) -> list[TextBox]:
    """Rectangles around the connected parts of the text map, grown back to the full letters, in the frame's pixels."""
    import cv2

    mask = cv2.dilate((heat > MAP_THRESHOLD).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    stretch = np.array([frame[1] / heat.shape[1], frame[0] / heat.shape[0]], np.float32)
    boxes = []
    for contour in contours:
        centre, (width, height), angle = cv2.minAreaRect(contour)
        if min(width, height) < MIN_SIDE:
            continue
        score = _inside(heat, cv2.boxPoints((centre, (width, height), angle)))
        if score < BOX_THRESHOLD:
            continue
        grow = width * height * UNCLIP / (width + height)  # twice area·ratio/perimeter: both sides of a rectangle
        corners = cv2.boxPoints((centre, (width + grow, height + grow), angle)) * stretch
        boxes.append(TextBox(_clockwise(np.clip(corners, 0, [frame[1], frame[0]])), score))
    return boxes


def _inside(heat: np.ndarray, corners: np.ndarray) -> float:
    """The mean of the map inside a quadrilateral."""
    import cv2

    left, top = np.floor(corners.min(0)).astype(int).clip(0)
    right, bottom = np.ceil(corners.max(0)).astype(int) + 1
    part = heat[top:bottom, left:right]
    mask = np.zeros(part.shape, np.uint8)
    cv2.fillPoly(mask, [np.round(corners - (left, top)).astype(np.int32)], 1)
    return float(cv2.mean(part, mask)[0])


def _clockwise(corners: np.ndarray) -> np.ndarray:
    """From the top left: the two leftmost by height, then the two rightmost."""
    left, right = np.split(corners[np.argsort(corners[:, 0], kind="stable")], 2)
    left, right = left[np.argsort(left[:, 1])], right[np.argsort(right[:, 1])]
    return np.array([left[0], right[0], right[1], left[1]], np.float32)


def _height(box: TextBox) -> float:
    return float(np.linalg.norm(box.corners[3] - box.corners[0]))


def _crop(image: Image, corners: np.ndarray) -> Image:
    """The rectangle laid straight."""
    import cv2

    width = max(1, round(float(np.linalg.norm(corners[1] - corners[0]))))
    height = max(1, round(float(np.linalg.norm(corners[3] - corners[0]))))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    turn = cv2.getPerspectiveTransform(corners, target)
    return cv2.warpPerspective(image, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def _black_on_white(line: Image) -> np.ndarray:
    """Grey, scaled to LINE_HEIGHT, inverted if the ground is dark, contrast stretched, with a margin."""
    import cv2

    grey = cv2.cvtColor(line, cv2.COLOR_RGB2GRAY)
    scale = LINE_HEIGHT / grey.shape[0]
    grey = cv2.resize(grey, (max(1, round(grey.shape[1] * scale)), LINE_HEIGHT), interpolation=cv2.INTER_CUBIC)
    if np.median(grey) < 128:
        grey = 255 - grey
    low, high = np.percentile(grey, (1, 99))
    grey = np.clip((grey - low) * (255 / max(high - low, 1)), 0, 255).astype(np.uint8)
    return cv2.copyMakeBorder(grey, 8, 8, 8, 8, cv2.BORDER_CONSTANT, value=255)
