"""What a describing language model is asked and what it may answer: the prompt, the JSON schema, the closed vocabularies.

One answer holds everything khung keeps of a frame. The schema bounds every list and string, so that an answer always
ends; `parse` checks it again with pydantic, whoever wrote it. How an answer is generated is in `vlm.py` and `openai_describer.py`.
"""

import hashlib
import json
import unicodedata
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from khung.errors import ModelError
from khung.records import Description, Region
from khung.vision.vocabulary import objects, scenes

PROMPT_VERSION = 1
"""Goes up with every change of the prompt's words, the schema or a vocabulary; it is part of the fingerprint."""

UNKNOWN = "unknown"
CAPTION_CHARS = 240
TEXT_CHARS = 120
MOST_OBJECTS, MOST_ACTIONS, MOST_EMOTIONS, MOST_COLORS, MOST_TEXTS = 12, 6, 4, 4, 12
WHOLE_FRAME = (0.0, 0.0, 1.0, 1.0)

SYSTEM = "You index video frames. You answer with one JSON object and nothing else."
_TASK = """Describe this video frame for a search engine. Say only what can be seen.
caption.vi: one natural Vietnamese sentence with all its marks. caption.en: one English sentence. Both: who or what, doing what, where; clothes and colours when they identify.
text_in_image: every readable line of text, letter by letter as written, top to bottom; [] when there is none.
The other fields use only these words ("unknown" or [] when it cannot be seen):
"""


@lru_cache(maxsize=1)
def vocabularies() -> MappingProxyType[str, MappingProxyType[str, str]]:
    """Vocabulary → English word → Vietnamese. Single-valued fields also know `unknown`, which stands in none of them."""
    words: dict[str, dict[str, str]] = {
        "object": {thing.en: thing.vi for thing in objects()},
        "scene": {scene.en: scene.vi for scene in scenes()},
    }
    text = resources.files("khung.vision").joinpath("data", "vlm.tsv").read_text(encoding="utf-8")
    for line in text.splitlines():
        if not line.startswith("#"):
            which, en, vi = line.split("\t")
            words.setdefault(which, {})[en] = vi
    return MappingProxyType({which: MappingProxyType(pairs) for which, pairs in words.items()})


FIELDS = MappingProxyType(
    {
        "objects": ("object", MOST_OBJECTS),
        "actions": ("action", MOST_ACTIONS),
        "emotions": ("emotion", MOST_EMOTIONS),
        "colors": ("colour", MOST_COLORS),
        "scene_type": ("scene", 1),
        "time_of_day": ("time", 1),
        "weather": ("weather", 1),
        "location_type": ("place", 1),
    }
)
"""Field of the answer → its vocabulary and the most words; those with one word are a string, the others a list."""


@lru_cache(maxsize=1)
def prompt() -> str:
    """The user's turn, after the image."""
    lists = "\n".join(f"{field}: {', '.join(vocabularies()[which])}" for field, (which, _) in FIELDS.items())
    return _TASK + lists


@lru_cache(maxsize=1)
def schema() -> dict[str, Any]:
    """JSON Schema of an answer; the order of the properties is the order in which they are written."""
    caption = _object({"vi": _string(CAPTION_CHARS, 1), "en": _string(CAPTION_CHARS, 1)})
    fields: dict[str, Any] = {"caption": caption, "text_in_image": _list(_string(TEXT_CHARS, 1), MOST_TEXTS)}
    for field, (which, most) in FIELDS.items():
        words = list(vocabularies()[which])
        fields[field] = {"enum": [*words, UNKNOWN]} if most == 1 else _list({"enum": words}, most)
    return _object(fields)


@lru_cache(maxsize=1)
def prompt_fingerprint() -> str:
    """Version and checksum of everything that is asked: a forgotten version bump still changes it."""
    asked = json.dumps([SYSTEM, prompt(), schema()], sort_keys=True)
    return f"p{PROMPT_VERSION}-{hashlib.sha256(asked.encode()).hexdigest()[:8]}"


def _string(most: int, least: int = 0) -> dict[str, Any]:
    return {"type": "string", "minLength": least, "maxLength": most}


def _list(items: dict[str, Any], most: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "maxItems": most}


def _object(fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


# -- the door: an answer from a model is a stranger's text


def _clean(text: str) -> str:
    """NFC, one line, printable."""
    shown = "".join(c if c.isprintable() else " " for c in unicodedata.normalize("NFC", text))
    return " ".join(shown.split())


def _word_of(field: str):
    which, most = FIELDS[field]

    def check(word: str) -> str:
        if word in vocabularies()[which] or (most == 1 and word == UNKNOWN):
            return word
        raise ValueError(f"“{word[:40]}” is not a word of “{which}”")

    return AfterValidator(check)


def _unique(words: list[str]) -> list[str]:
    return list(dict.fromkeys(filter(None, words)))


Line = Annotated[str, Field(max_length=TEXT_CHARS), AfterValidator(_clean)]
Caption = Annotated[str, Field(min_length=1, max_length=CAPTION_CHARS), AfterValidator(_clean)]
Lines = Annotated[list[Line], Field(max_length=MOST_TEXTS), AfterValidator(_unique)]


class Captions(BaseModel):
    """One sentence a language."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    vi: Caption
    en: Caption


def _words(field: str) -> Any:
    word = Annotated[str, _word_of(field)]
    return Annotated[list[word], Field(max_length=FIELDS[field][1]), AfterValidator(_unique)]


class Answer(BaseModel):
    """What a model said of one frame, checked: exactly the schema's fields, only words of the vocabularies."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    caption: Captions
    text_in_image: Lines
    objects: _words("objects")
    actions: _words("actions")
    emotions: _words("emotions")
    colors: _words("colors")
    scene_type: Annotated[str, _word_of("scene_type")]
    time_of_day: Annotated[str, _word_of("time_of_day")]
    weather: Annotated[str, _word_of("weather")]
    location_type: Annotated[str, _word_of("location_type")]

    def description(self, confidence: float | None = None) -> Description:
        """As a record. A language model draws no boxes: an object is said of the whole frame, as sure as the answer."""
        score = 1.0 if confidence is None else round(confidence, 4)
        return Description(
            captions=MappingProxyType({"vi": self.caption.vi, "en": self.caption.en}),
            origin="generated",
            objects=tuple(Region(label, score, WHOLE_FRAME) for label in self.objects),
            actions=tuple(self.actions),
            emotions=tuple(self.emotions),
            colors=tuple(self.colors),
            scene_type=self.scene_type,
            time_of_day=self.time_of_day,
            weather=self.weather,
            place=self.location_type,
            confidence=None if confidence is None else round(confidence, 4),
        )


def parse(text: str) -> Answer:
    """The answer in `text`. Raises ModelError saying which field is wrong."""
    try:
        return Answer.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise ModelError(f"The describer's answer breaks the schema: {where}: {first['msg']}.") from error
