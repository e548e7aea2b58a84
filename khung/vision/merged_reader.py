"""On-screen text from two readers: places from the one that finds lines, letters from the language model that reads better.

A detector with a line recogniser knows where text stands and errs in letters; a describing model reads well, Vietnamese marks above
all, but draws no boxes. Lines of the two that are nearly the same text are one line. Both are asked in any case, so this costs nothing
but their time. What a describer is asked stands in `vlm_schema.py`.
"""

from collections.abc import Sequence
from difflib import SequenceMatcher

from khung.records import TextLine
from khung.text import fold
from khung.vision import Image, TextReader
from khung.vision.speaking import SpeakingDescriber, SpokenReader

CODE_VERSION = 1
SAME = 0.6  # similarity without marks, case and spaces from which two lines are one


def fingerprint_of(finder: str, spoken: str) -> str:
    """Of the MergedReader over two readers with these fingerprints."""
    return f"{finder}&{spoken}&{CODE_VERSION}"


class MergedReader:
    """TextReader. `finder` gives lines with boxes; the describer's answers are those that it gives anyway."""

    def __init__(self, finder: TextReader, describer: SpeakingDescriber) -> None:
        self._finder, self._spoken = finder, SpokenReader(describer)
        self.fingerprint = fingerprint_of(finder.fingerprint, self._spoken.fingerprint)

    def read(self, images: Sequence[Image]) -> list[tuple[TextLine, ...]]:
        return [merge(*both) for both in zip(self._finder.read(images), self._spoken.read(images), strict=True)]


def merge(found: Sequence[TextLine], spoken: Sequence[TextLine]) -> tuple[TextLine, ...]:
    """The found lines in their order, each with the letters of the spoken line that is most like it; then the spoken lines that
    were found nowhere. Each line is used once, the most alike first."""
    pairs = sorted(
        ((alike(f.text, s.text), -i, -j) for i, f in enumerate(found) for j, s in enumerate(spoken)), reverse=True
    )
    letters: dict[int, int] = {}
    for likeness, i, j in pairs:
        if likeness >= SAME and -i not in letters and -j not in letters.values():
            letters[-i] = -j
    read = [
        TextLine(spoken[letters[i]].text, max(line.score, spoken[letters[i]].score), line.box) if i in letters else line
        for i, line in enumerate(found)
    ]
    return (*read, *(line for j, line in enumerate(spoken) if j not in letters.values()))


def alike(one: str, other: str) -> float:
    """In [0, 1], by the letters alone: a wrong mark is what the better reader mends."""
    a, b = ("".join(fold(word) for word in text.split()) for text in (one, other))
    return SequenceMatcher(None, a, b, autojunk=False).ratio() if a and b else 0.0
