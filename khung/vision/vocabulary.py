"""The closed vocabularies and their names in both languages, read from the tables in `data/`.

The tables are the only place that spells a label; nothing here recognises or composes.
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class Thing:
    """A COCO class. `counter` is the Vietnamese classifier ("" when the noun counts by itself)."""

    en: str
    vi: str
    counter: str
    plural: str


@dataclass(frozen=True, slots=True)
class ImageClass:
    """An ImageNet class; `kind` is the broader word that people say ("dog"), or ""."""

    en: str
    vi: str
    kind: str


@lru_cache(maxsize=1)
def objects() -> tuple[Thing, ...]:
    """The 80 classes in the order of the detector's output."""
    return tuple(Thing(*row) for row in _table("objects.tsv", 4))


@lru_cache(maxsize=1)
def image_classes() -> tuple[ImageClass, ...]:
    """The 1000 classes in the order of the classifier's output."""
    return tuple(ImageClass(*row) for row in _table("imagenet.tsv", 3))


def _table(name: str, columns: int) -> list[list[str]]:
    text = resources.files("khung.vision").joinpath("data", name).read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
    return [row + [""] * (columns - len(row)) for row in rows]


@dataclass(frozen=True, slots=True)
class Scene:
    """A kind of place. `phrase`: how an English sentence names it. `signs`: alternatives of (object, at least so many), each alternative wholly needed."""

    en: str
    phrase: str
    vi: str
    place: str
    classes: tuple[str, ...]
    signs: tuple[tuple[tuple[str, int], ...], ...]


@lru_cache(maxsize=1)
def scenes() -> tuple[Scene, ...]:
    return tuple(
        Scene(
            en,
            phrase,
            vi,
            place,
            tuple(filter(None, classes.split(","))),
            tuple(map(_sign, filter(None, signs.split("|")))),
        )
        for en, phrase, vi, place, classes, signs in _table("scenes.tsv", 6)
    )


def _sign(text: str) -> tuple[tuple[str, int], ...]:
    """`car 1+person 2` → (("car", 1), ("person", 2))."""
    return tuple((name, int(count)) for name, count in (part.rsplit(" ", 1) for part in text.split("+")))


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a small vocabulary; `phrase` is how an English sentence says it."""

    en: str
    vi: str
    phrase: str


@lru_cache(maxsize=1)
def words() -> dict[tuple[str, str], Word]:
    """By vocabulary (`colour`, `emotion`, `place`, `time`, `kind`) and English word."""
    return {(which, en): Word(en, vi, phrase or en) for which, en, vi, phrase in _table("words.tsv", 4)}


@lru_cache(maxsize=16)
def vocabulary(name: str) -> frozenset[str]:
    """The English words of `object`, `scene`, or a vocabulary of words.tsv (`colour`, `emotion`, `place`, `time`, …)."""
    if name == "scene":
        return frozenset(scene.en for scene in scenes())
    if name == "object":
        return frozenset(thing.en for thing in objects())
    return frozenset(en for which, en in words() if which == name)
