"""The one place that turns settings into models: which Embedder, Describer and TextReader serve this profile.

Everything else takes the objects. The file checks and the cures are in `files.py`; each model's code is in its own file.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from khung.settings import Settings
from khung.vision import Describer, Embedder, TextReader, files


@dataclass(frozen=True, slots=True)
class Vision:
    """What looks at frames."""

    embedder: Embedder
    describer: Describer
    reader: TextReader


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """Of the models that these settings choose."""

    embedder: str
    describer: str
    reader: str


EMBEDDER_FILES = ("e5-small-q4.bin", "efficientnet-lite0.tflite", "yolox-nano.onnx")
FACE_FILES = ("blazeface-short-range.tflite", "fer-emotion.tflite")
DESCRIBER_FILES = ("efficientnet-lite0.tflite", "yolox-nano.onnx", *FACE_FILES)
READER_FILES = ("ppocr-det.onnx", "vie.traineddata")


def fingerprints(settings: Settings) -> Fingerprints:
    """What `load_vision(settings)` would carry, without loading a model or needing its files: for staleness and manifests."""
    from khung.vision import compose, conse, screen_text

    return Fingerprints(
        conse.fingerprint_of(_hashes(*EMBEDDER_FILES)),
        compose.fingerprint_of(_hashes(*DESCRIBER_FILES)),
        screen_text.fingerprint_of(_hashes(*READER_FILES)),
    )


def load_vision(settings: Settings) -> Vision:
    """All three, sharing what they can. Raises ModelFileMissing with the cure."""
    parts = _Embedded(settings.models_path)
    return Vision(parts.embedder, parts.describer, parts.reader)


def load_embedder(settings: Settings) -> Embedder:
    """The Embedder alone, for the query side. Raises ModelFileMissing with the cure."""
    return _Embedded(settings.models_path).embedder


def load_describer(settings: Settings) -> Describer:
    """The Describer alone. Raises ModelFileMissing with the cure."""
    return _Embedded(settings.models_path).describer


def load_reader(settings: Settings) -> TextReader:
    """The TextReader alone. Raises ModelFileMissing with the cure."""
    return _Embedded(settings.models_path).reader


class _Embedded:
    """The models of the embedded profile, each loaded once and only when asked for."""

    def __init__(self, models_dir: Path) -> None:
        self._dir = models_dir

    @cached_property
    def embedder(self) -> Embedder:
        from khung.vision.conse import ConseEmbedder
        from khung.vision.e5 import E5

        e5 = E5(files.path(EMBEDDER_FILES[0], self._dir))
        weights = _hashes(*EMBEDDER_FILES)
        return ConseEmbedder(e5, self._classifier, self._detector, weights=weights, cache_dir=self._dir)

    @cached_property
    def describer(self) -> Describer:
        from khung.vision.compose import ComposedDescriber
        from khung.vision.faces import FaceReader
        from khung.vision.recognise import Recogniser

        faces = FaceReader(*(files.path(name, self._dir) for name in FACE_FILES))
        recogniser = Recogniser(self._classifier, self._detector, faces)
        return ComposedDescriber(recogniser, weights=_hashes(*DESCRIBER_FILES))

    @cached_property
    def reader(self) -> TextReader:
        from khung.vision.screen_text import ScreenTextReader

        detector, letters = (files.path(name, self._dir) for name in READER_FILES)
        return ScreenTextReader(detector, letters.parent, weights=_hashes(*READER_FILES))

    @cached_property
    def _classifier(self):
        from khung.vision.classes import ImageClassifier

        return ImageClassifier(files.path("efficientnet-lite0.tflite", self._dir))

    @cached_property
    def _detector(self):
        from khung.vision.objects import ObjectDetector

        return ObjectDetector(files.path("yolox-nano.onnx", self._dir))


def _hashes(*names: str) -> list[str]:
    return [files.FILES[name].sha256 for name in names]
