"""The models of the embedded profile, put together from their files. Which profile runs is `load.py`'s choice."""

from functools import cached_property
from pathlib import Path

from khung.vision import Describer, Embedder, TextReader, files
from khung.vision.classes import ImageClassifier
from khung.vision.compose import ComposedDescriber
from khung.vision.compose import fingerprint_of as composed_fingerprint
from khung.vision.conse import ConseEmbedder
from khung.vision.conse import fingerprint_of as conse_fingerprint
from khung.vision.e5 import E5
from khung.vision.eight_bits import Precision, ranges_digest
from khung.vision.faces import FaceReader
from khung.vision.objects import ObjectDetector
from khung.vision.recognise import Recogniser
from khung.vision.screen_text import ScreenTextReader
from khung.vision.screen_text import fingerprint_of as screen_text_fingerprint

TEXT, CLASSES, OBJECTS = "e5-small-q4.bin", "efficientnet-lite0.tflite", "yolox-nano.onnx"
FACES = ("blazeface-short-range.tflite", "fer-emotion.tflite")
LINES = ("ppocr-det.onnx", "vie.traineddata")


def embedder_fingerprint(precision: Precision) -> str:
    """Of `Embedded.embedder`; like the two below, known without a model file."""
    return conse_fingerprint(_weights(precision, TEXT, CLASSES, OBJECTS))


def describer_fingerprint(precision: Precision) -> str:
    return composed_fingerprint(_weights(precision, CLASSES, OBJECTS, *FACES))


def reader_fingerprint() -> str:
    return screen_text_fingerprint(_hashes(*LINES))


class Embedded:
    """The three parts, each loaded once and only when asked for. Raises ModelFileMissing with the cure."""

    def __init__(self, models_dir: Path, precision: Precision) -> None:
        self._dir, self._precision = models_dir, precision

    @cached_property
    def embedder(self) -> Embedder:
        e5 = E5(self._path(TEXT))
        weights = _weights(self._precision, TEXT, CLASSES, OBJECTS)
        return ConseEmbedder(e5, self._classifier, self._detector, weights=weights, cache_dir=self._dir)

    @cached_property
    def describer(self) -> Describer:
        recogniser = Recogniser(self._classifier, self._detector, FaceReader(*map(self._path, FACES)))
        return ComposedDescriber(recogniser, weights=_weights(self._precision, CLASSES, OBJECTS, *FACES))

    @cached_property
    def reader(self) -> TextReader:
        detector, letters = map(self._path, LINES)
        return ScreenTextReader(detector, letters.parent, weights=_hashes(*LINES))

    @cached_property
    def _classifier(self) -> ImageClassifier:
        return ImageClassifier(self._path(CLASSES), precision=self._precision)

    @cached_property
    def _detector(self) -> ObjectDetector:
        return ObjectDetector(self._path(OBJECTS), precision=self._precision)

    def _path(self, name: str) -> Path:
        return files.path(name, self._dir)


def _weights(precision: Precision, *names: str) -> list[str]:
    """What the answers depend on: the files' checksums, and how 8 bits are made of them."""
    eight = f"int8 {ranges_digest(CLASSES, OBJECTS)} {ObjectDetector.fitting_version}"
    return [*_hashes(*names), *([eight] if precision == "int8" else [])]


def _hashes(*names: str) -> list[str]:
    return [files.FILES[name].sha256 for name in names]
