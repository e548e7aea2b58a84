"""The embedded Describer: Vietnamese and English sentences composed from what was recognised, and said to be so.

A sentence counts the sure objects, offers the image's likely subject and scene as a possibility, and ends with faces.
A frame where nothing was recognised is told by its colours. Nothing is invented.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from types import MappingProxyType

from khung.records import Description
from khung.vision import Image
from khung.vision import recognise as rules
from khung.vision.classes import ImageClassifier
from khung.vision.faces import FaceReader
from khung.vision.objects import ObjectDetector
from khung.vision.recognise import Recogniser, Recognition
from khung.vision.vocabulary import image_classes, objects, scenes, words

CODE_VERSION = 1
MOST_OBJECTS = 4  # kinds of objects named in a sentence
SURE_OBJECT = 0.55  # score from which an object is stated
SURE = 0.5  # probability from which an image class is stated, not offered
_VI_NUMBERS = ("", "một", "hai", "ba", "bốn", "năm", "sáu", "bảy", "tám", "chín", "mười")
_EN_NUMBERS = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


class ComposedDescriber:
    """Describer over a Recogniser. `weights` names the model files' checksums."""

    def __init__(self, recogniser: Recogniser, *, weights: Sequence[str]) -> None:
        self._recogniser = recogniser
        self.fingerprint = fingerprint_of(weights)

    def describe(self, images: Sequence[Image]) -> list[Description]:
        return [describe(found) for found in self._recogniser(images)] if images else []


def fingerprint_of(weights: Sequence[str]) -> str:
    """The describer's fingerprint; no model is needed to know it."""
    tables = [repr(table()) for table in (scenes, words, objects, image_classes)]
    looking = (ImageClassifier.code_version, ObjectDetector.code_version, FaceReader.code_version)
    parts = [*weights, f"{CODE_VERSION} {rules.CODE_VERSION} {looking}", *tables]
    return f"composed/{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()[:16]}"


def describe(found: Recognition) -> Description:
    """The Description of one frame's findings."""
    return Description(
        captions=MappingProxyType({"vi": caption_vi(found), "en": caption_en(found)}),
        origin="composed",
        objects=found.objects,
        labels=found.labels,
        emotions=found.emotions,
        colors=found.colours,
        scene_type=found.scene,
        time_of_day=found.time_of_day,
        place=found.place,
        confidence=_confidence(found),
    )


def caption_vi(found: Recognition) -> str:
    """E.g. “Hai người và một chiếc ô tô; có thể là đường phố, ban ngày.”"""
    parts = [_listed([_counted_vi(*pair) for pair in _stated(found)], "và")]
    if subject := _subject(found):
        word, probability = subject
        parts.append(("có " if probability >= SURE else "có thể là ") + _subject_vi(word))
    if scene := _scene(found):
        time = words().get(("time", found.time_of_day))
        parts.append(f"có thể là {scene.vi}" + (f", {time.vi}" if time else ""))
    if found.emotions:
        parts.append("gương mặt " + _listed([words()["emotion", e].vi for e in found.emotions], "và"))
    colours = _listed([words()["colour", c].vi for c in found.colours], "và")
    return _sentence(parts) or _sentence([f"khung hình chủ yếu màu {colours}" if colours else "không nhận ra gì"])


def caption_en(found: Recognition) -> str:
    """E.g. “Two people and a car; possibly a street by day.”"""
    parts = [_listed([_counted_en(*pair) for pair in _stated(found)], "and")]
    if subject := _subject(found):
        word, probability = subject
        parts.append(_with_article(word) if probability >= SURE else f"possibly {_with_article(word)}")
    if scene := _scene(found):
        time = words().get(("time", found.time_of_day))
        parts.append(f"possibly {scene.phrase}" + (f" {time.phrase}" if time else ""))
    if found.emotions:
        parts.append("a face that looks " + _listed([words()["emotion", e].phrase for e in found.emotions], "and"))
    colours = _listed(found.colours, "and")
    return _sentence(parts) or _sentence([f"a mostly {colours} frame" if colours else "nothing was recognised"])


def _stated(found: Recognition) -> list[tuple[str, int]]:
    """Labels and counts of the sure objects: people first, then by number."""
    counts = Counter(region.label for region in found.objects if region.score >= SURE_OBJECT)
    return sorted(counts.items(), key=lambda pair: (pair[0] != "person", -pair[1], pair[0]))[:MOST_OBJECTS]


def _subject(found: Recognition) -> tuple[str, float] | None:
    """The surest image class, or its kind when only the kind is sure; None when objects or scene say it already."""
    candidates = [*found.labels[:1], *found.kinds[:1]]
    if not candidates:
        return None
    word, probability = candidates[0] if candidates[0][1] >= SURE else max(candidates, key=lambda pair: pair[1])
    scene = _scene(found)
    said = {label for label, _ in _stated(found)} | set(scene.classes if scene else ())
    return None if word in said else (word, probability)


def _subject_vi(word: str) -> str:
    kind = words().get(("kind", word))
    return kind.vi if kind else next(c.vi for c in image_classes() if c.en == word)


def _scene(found: Recognition):
    return next((scene for scene in scenes() if scene.en == found.scene), None)


def _counted_vi(label: str, count: int) -> str:
    thing = next(t for t in objects() if t.en == label)
    many = count >= len(_VI_NUMBERS)
    return " ".join(filter(None, ["nhiều" if many else _VI_NUMBERS[count], "" if many else thing.counter, thing.vi]))


def _counted_en(label: str, count: int) -> str:
    if count == 1:
        return _with_article("TV set" if label == "tv" else label)
    thing = next(t for t in objects() if t.en == label)
    return f"{_EN_NUMBERS[count] if count < len(_EN_NUMBERS) else 'many'} {thing.plural}"


def _with_article(word: str) -> str:
    if word.endswith("s") and not word.endswith(("ss", "us")):
        return word
    return f"{'an' if word[0].lower() in 'aeiou' else 'a'} {word}"


def _listed(items: Sequence[str], joint: str) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return f" {joint} ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))


def _sentence(parts: Sequence[str]) -> str:
    text = "; ".join(filter(None, parts))
    return text[:1].upper() + text[1:] + "." if text else ""


def _confidence(found: Recognition) -> float | None:
    """The mean score of what the sentence states; None when it states nothing recognised."""
    scores = [r.score for r in found.objects if r.score >= SURE_OBJECT] + [p for _, p in found.labels if p >= SURE]
    return round(sum(scores) / len(scores), 4) if scores else None
