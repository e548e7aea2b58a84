"""The fixed scale of cosines: what a cosine means in one snapshot, whatever the question.

A raw cosine says little: in one space strangers have .78, in another .02. The scale comes from pairs that have nothing to
do with one another: half of random pairs lie below `low`, one in a thousand above `high`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from khung.stores import VectorIndex
from khung.vision import Embedder

_SAMPLE = 2000
_ENOUGH_PAIRS = 100
_SEED = 20261122
# Everyday questions of many kinds in both languages; only their spread matters, not one of them by itself.
QUESTIONS = (
    "người đi bộ trên phố", "một chiếc xe hơi màu đỏ", "trẻ em chơi đá bóng", "bãi biển lúc hoàng hôn", "người dẫn chương trình thời sự",
    "chợ hoa ngày tết", "con mèo nằm trên ghế", "bác sĩ trong bệnh viện", "món phở bò", "máy bay hạ cánh", "cánh đồng lúa chín",
    "lớp học có nhiều học sinh", "pháo hoa trên sông", "công nhân trong nhà máy", "cầu bắc qua sông", "người phụ nữ mặc áo dài",
    "a man talking to the camera", "traffic on a city street at night", "two dogs running on grass", "a plate of food on a table",
    "a close up of a hand", "people dancing at a party", "a mountain covered with snow", "text on a white background",
    "a football match in a stadium", "a boat on the sea", "an empty office", "birds in the sky", "a woman reading a book",
    "a map of the country", "a rocket launch", "an old building",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scale:
    """Cosine → [0, 1): 0 up to `low`, ½ at `high`, then ever closer to 1. It never flattens: 1 − 2^−x, x = (c − low) / (high − low)."""

    low: float
    high: float

    def __call__(self, cosines: np.ndarray) -> np.ndarray:
        x = (cosines - self.low) / max(self.high - self.low, 1e-6)
        return (1 - np.exp2(-np.maximum(x, 0))).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Scales:
    """Texts and images lie differently in one space: a scale for questions in words and one for questions by picture."""

    text: Scale
    image: Scale


def measure(vectors: VectorIndex, embedder: Embedder | None) -> Scales:
    """The scales from at most 2000 frames of the index: against `QUESTIONS`, and against one another.

    Without an encoder, questions in words are put on the scale of pictures. Raises ModelError.
    """
    sample = _sample(vectors)
    image = _scale(_pairs(sample))
    text = image if embedder is None else _scale((embedder.embed_texts(QUESTIONS) @ sample.T).ravel())
    return Scales(text, image)


def measure_few(vectors: VectorIndex, embedder: Embedder | None) -> Scales:
    """The same of a space that may hold a frame or two, which tell nothing of how alike strangers are: a picture then counts
    only when it is nearly the same. Raises ModelError."""
    measured = measure(vectors, embedder)
    if len(_pairs(_sample(vectors))) >= _ENOUGH_PAIRS:
        return measured
    return Scales(NEARLY_THE_SAME if embedder is None else measured.text, NEARLY_THE_SAME)


def read_scales(normalisers: Mapping[str, object], fingerprint: str = "") -> Scales | None:
    """The scales that a snapshot carries, each `[low, high]`, by `names_of`; None when it has none."""
    pairs = [normalisers.get(name) for name in names_of(fingerprint)]
    if not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        return None
    return Scales(*(Scale(float(low), float(high)) for low, high in pairs))


def names_of(fingerprint: str = "") -> tuple[str, str]:
    """What a snapshot calls the scales for words and for pictures: of the embedder's own space, or of a stand-in's."""
    of = f":{fingerprint}" if fingerprint else ""
    return f"vector_text{of}", f"vector_image{of}"


def _sample(vectors: VectorIndex) -> np.ndarray:
    ids = vectors.ids()
    if not len(ids):
        return np.zeros((0, vectors.dim), np.float32)
    chosen = np.random.default_rng(_SEED).choice(ids, min(_SAMPLE, len(ids)), replace=False)
    return np.stack([vectors.reconstruct(int(i)) for i in chosen])


def _pairs(sample: np.ndarray) -> np.ndarray:
    """Cosines of each two of the first 500."""
    some = sample[:500]
    return (some @ some.T)[np.triu_indices(len(some), 1)]


def _scale(cosines: np.ndarray) -> Scale:
    if cosines.size < 2:
        return Scale(0.0, 1.0)
    low, high = np.quantile(cosines, [0.5, 0.999])
    return Scale(float(low), float(max(high, low + 1e-3)))


NEARLY_THE_SAME = Scale(0.9, 1.0)
