"""A Describer over anything that answers the prompt of `vlm_schema.py`, and a TextReader over the same answers.

The two are asked for the same frames one after the other, so the last answers are remembered: a frame is generated once. Who
answers is in `vlm.py` (this process) and `openai_describer.py` (a server).
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from khung.records import Description, TextLine
from khung.vision import Image
from khung.vision.batches import Strain
from khung.vision.vlm_schema import WHOLE_FRAME, Answer

REMEMBERED = 512  # answers; a few hundred kilobytes


@dataclass(frozen=True, slots=True)
class Said:
    """One answer. `confidence` in [0, 1], or None when the model's probabilities are not known."""

    answer: Answer
    confidence: float | None = None


class Speaker(Protocol):
    """A model that answers the prompt."""

    fingerprint: str

    def stream(self, images: Sequence[Image]) -> Iterator[Said]:
        """One an image, in order, each as soon as it is there. Raises ModelError, after what came before the failure."""
        ...


class SpeakingDescriber:
    """Describer and keeper of the last answers. Thread-safe as far as its Speaker is."""

    def __init__(self, speaker: Speaker, *, remembered: int = REMEMBERED) -> None:
        self._speaker = speaker
        self.fingerprint = speaker.fingerprint
        self._remembered = remembered
        self._said: OrderedDict[bytes, Said] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def strain(self) -> Strain:
        """What a full memory has cost the Speaker; servers do not tell."""
        return getattr(self._speaker, "strain", Strain())

    def describe(self, images: Sequence[Image]) -> list[Description]:
        return [said.answer.description(said.confidence) for said in self.answers(images)]

    def answers(self, images: Sequence[Image]) -> list[Said]:
        """The Speaker's answers, those of equal images asked for only once. What was said before a failure is kept: asked
        again, it goes on from there."""
        keys = [_key(image) for image in images]
        with self._lock:
            known = {key: self._said[key] for key in keys if key in self._said}
        unknown = {key: image for key, image in zip(keys, images, strict=True) if key not in known}
        for key, said in zip(unknown, self._speaker.stream(list(unknown.values())), strict=True):
            known[key] = said
            self._remember(key, said)
        return [known[key] for key in keys]

    def _remember(self, key: bytes, said: Said) -> None:
        with self._lock:
            self._said[key] = said
            while len(self._said) > self._remembered:
                self._said.popitem(last=False)


def spoken_fingerprint(describer: str) -> str:
    """Of the SpokenReader over a describer with that fingerprint."""
    return f"read-by-{describer}"


class SpokenReader:
    """TextReader of what the describer read. It knows the words, not where they stand: every line has the whole frame."""

    def __init__(self, describer: SpeakingDescriber) -> None:
        self._describer = describer
        self.fingerprint = spoken_fingerprint(describer.fingerprint)

    def read(self, images: Sequence[Image]) -> list[tuple[TextLine, ...]]:
        return [
            tuple(TextLine(text, _score(said), WHOLE_FRAME) for text in said.answer.text_in_image)
            for said in self._describer.answers(images)
        ]


def _score(said: Said) -> float:
    return 1.0 if said.confidence is None else round(said.confidence, 4)


def _key(image: Image) -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=16, salt=str(image.shape).encode()[:16]).digest()
