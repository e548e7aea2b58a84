"""What the embedded models recognise in a frame, and what may be concluded from it: no sentence, no vector.

A conclusion (scene, place, time of day) is drawn only from evidence above a threshold; otherwise it is "unknown".
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from khung.records import Region
from khung.vision import Image
from khung.vision.classes import ImageClassifier
from khung.vision.colours import dominant_colours
from khung.vision.faces import FaceReader
from khung.vision.objects import ObjectDetector
from khung.vision.vocabulary import Scene, image_classes, scenes, words

CODE_VERSION = 3
MIN_LABEL = 0.25  # probability of an image class worth keeping
MIN_KIND = 0.5  # of all classes of one kind together ("dog")
MIN_SCENE, SURE_SCENE = 0.3, 0.6  # of all classes that show a scene together
DARK, BRIGHT = 45, 85  # mean luma of a night street, of daylight


@dataclass(frozen=True, slots=True)
class Recognition:
    """The findings of one frame. `labels` and `kinds` are (English word, probability), the surest first."""

    objects: tuple[Region, ...]
    labels: tuple[tuple[str, float], ...]
    kinds: tuple[tuple[str, float], ...]
    emotions: tuple[str, ...]
    colours: tuple[str, ...]
    scene: str
    place: str
    time_of_day: str

    def counts(self) -> Counter[str]:
        """Objects by label, the most frequent first."""
        return Counter(region.label for region in self.objects)


class Recogniser:
    """Runs the image models over a batch and draws the conclusions."""

    def __init__(self, classifier: ImageClassifier, detector: ObjectDetector, faces: FaceReader) -> None:
        self._classifier, self._detector, self._faces = classifier, detector, faces
        self._classes = image_classes()
        self._positions = {c.en: i for i, c in enumerate(self._classes)}
        kinds = sorted({c.kind for c in self._classes if c.kind and ("kind", c.kind) in words()})
        self._kinds = {kind: np.array([c.kind == kind for c in self._classes]) for kind in kinds}

    def __call__(self, images: Sequence[Image]) -> list[Recognition]:
        regions = self._detector(images)
        found = zip(images, self._classifier(images), regions, self._faces(images, regions), strict=True)
        return [
            self._conclude(image, probabilities, objects, sorted({face.emotion for face in faces if face.emotion}))
            for image, probabilities, objects, faces in found
        ]

    def _conclude(
        self, image: Image, probabilities: np.ndarray, objects: tuple[Region, ...], emotions: Sequence[str]
    ) -> Recognition:
        scene = self._scene(probabilities, Counter(region.label for region in objects))
        place = scene.place if scene else "unknown"
        return Recognition(
            objects=objects,
            labels=self._labels(probabilities),
            kinds=self._likely_kinds(probabilities),
            emotions=tuple(emotions),
            colours=dominant_colours(image),
            scene=scene.en if scene else "unknown",
            place=place,
            time_of_day=_time_of_day(image) if place == "outdoor" else "unknown",
        )

    def _labels(self, probabilities: np.ndarray) -> tuple[tuple[str, float], ...]:
        order = np.argsort(-probabilities, kind="stable")[:5]
        return tuple((self._classes[i].en, _rounded(probabilities[i])) for i in order if probabilities[i] >= MIN_LABEL)

    def _likely_kinds(self, probabilities: np.ndarray) -> tuple[tuple[str, float], ...]:
        sums = {kind: float(probabilities[members].sum()) for kind, members in self._kinds.items()}
        likely = [(kind, _rounded(total)) for kind, total in sums.items() if total >= MIN_KIND]
        return tuple(sorted(likely, key=lambda pair: -pair[1]))

    def _scene(self, probabilities: np.ndarray, counts: Counter[str]) -> Scene | None:
        """The scene whose classes are sure; else the first whose objects are all seen; else the likeliest, if likely."""
        sums = {s: sum(probabilities[self._positions[name]] for name in s.classes) for s in scenes()}
        best = max(sums, key=sums.__getitem__)
        if sums[best] >= SURE_SCENE:
            return best
        seen = (s for s in scenes() if any(all(counts[name] >= least for name, least in sign) for sign in s.signs))
        return next(seen, best if sums[best] >= MIN_SCENE else None)


def _time_of_day(image: Image) -> str:
    """Of a frame that is known to be outdoors: by its mean luma (BT.601); between the bounds it may be dusk."""
    luma = float((image.reshape(-1, 3)[::7] @ np.array([0.299, 0.587, 0.114])).mean())
    return "night" if luma < DARK else "day" if luma > BRIGHT else "unknown"


def _rounded(probability: float) -> float:
    return round(min(float(probability), 1.0), 4)
