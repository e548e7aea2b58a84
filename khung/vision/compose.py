"""The embedded Describer: Vietnamese and English sentences composed from what was recognised, and said to be so.

A sentence states counted objects, offers the image's likely subject and scene as a possibility, and ends with faces.
A frame where nothing was recognised is told by its colours. Nothing is invented.
"""

import hashlib
from collections.abc import Sequence
from types import MappingProxyType

from khung.records import Description
from khung.vision import Image
from khung.vision import recognise as rules
from khung.vision.recognise import Recogniser, Recognition
from khung.vision.vocabulary import image_classes, objects, scenes, vietnamese

CODE_VERSION = 1
MOST_OBJECTS = 4  # kinds of objects named in a sentence
SURE = 0.5  # score from which an object, and probability from which a class, is stated
_VI_NUMBERS = ("", "một", "hai", "ba", "bốn", "năm", "sáu", "bảy", "tám", "chín", "mười")
_EN_NUMBERS = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


class ComposedDescriber:
    """Describer over a Recogniser. `weights` names the model files' checksums."""

    def __init__(self, recogniser: Recogniser, *, weights: Sequence[str]) -> None:
        self._recogniser = recogniser
        parts = [*weights, str(CODE_VERSION), str(rules.CODE_VERSION), repr(scenes()), repr(vietnamese())]
        self.fingerprint = f"composed/{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()[:16]}"

    def describe(self, images: Sequence[Image]) -> list[Description]:
        return [describe(found) for found in self._recogniser(images)] if images else []


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
    words = vietnamese()
    parts = [_listed([_counted_vi(label, count) for label, count in _stated(found)], " và ")]
    if subject := _subject(found):
        parts.append(("có " if subject[1] >= SURE else "có thể là ") + _subject_vi(subject[0], words))
    if found.scene != "unknown":
        parts.append(
            "có thể là " + ", ".join(filter(None, [_scene_vi(found.scene), words.get(("time", found.time_of_day), "")]))
        )
    if found.emotions:
        parts.append("gương mặt " + _listed([words["emotion", e] for e in found.emotions], " và "))
    colours = _listed([words["colour", c] for c in found.colours], " và ")
    return _sentence(parts) or (
        f"Khung hình chủ yếu màu {colours}." if colours else "Không nhận ra gì trong khung hình."
    )


def caption_en(found: Recognition) -> str:
    parts = [_listed([_counted_en(label, count) for label, count in _stated(found)], " and ")]
    if subject := _subject(found):
        parts.append(subject[0] if subject[1] >= SURE else f"possibly {subject[0]}")
    if found.scene != "unknown":
        parts.append(f"possibly {_EN_SCENES.get(found.scene, found.scene)}{_EN_TIMES.get(found.time_of_day, '')}")
    if found.emotions:
        parts.append("a face that looks " + _listed([_EN_LOOKS[e] for e in found.emotions], " and "))
    colours = _listed(list(found.colours), " and ")
    return _sentence(parts) or (f"A mostly {colours} frame." if colours else "Nothing was recognised in the frame.")


def _stated(found: Recognition) -> list[tuple[str, int]]:
    """Labels and counts of what is sure, people first, then by number."""
    counts: dict[str, int] = {}
    for region in found.objects:
        if region.score >= SURE:
            counts[region.label] = counts.get(region.label, 0) + 1
    ordered = sorted(counts.items(), key=lambda pair: (pair[0] != "person", -pair[1], pair[0]))
    return ordered[:MOST_OBJECTS]


def _subject(found: Recognition) -> tuple[str, float] | None:
    """The image class or its kind, whichever is surer; None when the objects or the scene say it already."""
    candidates = [*found.labels[:1], *found.kinds[:1]]
    if not candidates:
        return None
    if found.labels and found.labels[0][1] >= SURE:
        candidates = candidates[:1]
    word, probability = max(candidates, key=lambda pair: pair[1])
    said = {label for label, _ in _stated(found)} | {found.scene}
    told_by_scene = any(word in scene.classes for scene in scenes() if scene.en == found.scene)
    return None if word in said or told_by_scene else (word, probability)


def _subject_vi(word: str, words: dict[tuple[str, str], str]) -> str:
    return words.get(("kind", word)) or next(c.vi for c in image_classes() if c.en == word)


def _scene_vi(scene: str) -> str:
    return next(s.vi for s in scenes() if s.en == scene)


def _counted_vi(label: str, count: int) -> str:
    thing = next(t for t in objects() if t.en == label)
    number = _VI_NUMBERS[count] if count < len(_VI_NUMBERS) else "nhiều"
    counter = "" if count >= len(_VI_NUMBERS) else thing.counter
    return " ".join(filter(None, [number, counter, thing.vi]))


def _counted_en(label: str, count: int) -> str:
    thing = next(t for t in objects() if t.en == label)
    if count == 1:
        return f"{'an' if label[0] in 'aeiou' else 'a'} {label}"
    return f"{_EN_NUMBERS[count] if count < len(_EN_NUMBERS) else 'many'} {thing.plural}"


def _listed(words: Sequence[str], joint: str) -> str:
    return joint.join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def _sentence(parts: Sequence[str]) -> str:
    text = "; ".join(filter(None, parts))
    return text[:1].upper() + text[1:] + "." if text else ""


def _confidence(found: Recognition) -> float | None:
    """The mean score of what the sentence states; None when it states nothing recognised."""
    scores = [r.score for r in found.objects if r.score >= SURE] + [p for _, p in found.labels if p >= SURE]
    return round(sum(scores) / len(scores), 4) if scores else None


_EN_LOOKS = {"angry": "angry", "disgust": "disgusted", "fear": "afraid", "happy": "happy", "sad": "sad", "surprise": "surprised", "neutral": "calm"}  # fmt: skip
_EN_TIMES = {"day": " by day", "night": " at night"}
_EN_SCENES = {
    "street": "a street", "office": "an office", "library": "a library", "restaurant": "a restaurant",
    "kitchen": "a kitchen", "living room": "a living room", "bedroom": "a bedroom", "bathroom": "a bathroom",
    "shop": "a shop", "stage": "a stage", "sports field": "a sports field", "mountain": "in the mountains",
    "snow": "in the snow", "seaside": "at the seaside", "lake": "by a lake", "harbour": "a harbour",
    "farmland": "farmland", "park": "a park", "airfield": "an airfield", "railway": "a railway",
    "bridge": "a bridge", "landmark": "a landmark", "graphics": "a screen with graphics or text",
}  # fmt: skip
