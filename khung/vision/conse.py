"""The embedded Embedder: ConSE. An image is the mean of the E5 vectors of the words it was recognised as.

    v = Σ √p_k · (L_k − μ) / Σ √p_k  +  w · Σ s_o · (L_o − μ)         q = E5("query: text") − μ

over the TOP classes of ImageNet (p) and the kinds of objects seen (s the surest one's score), both to unit length; L is
the mean of a label's Vietnamese and English vectors, μ the mean of all L. After Norouzi et al., "Zero-Shot Learning by
Convex Combination of Semantic Embeddings", ICLR 2014; measured in docs/decisions/0011. Such a vector
knows the ~1,080 labels and their neighbours in meaning: no actions, no relations.
"""

import hashlib
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from khung.records import Region
from khung.stores.arrays import load
from khung.vision import Image
from khung.vision.classes import ImageClassifier
from khung.vision.e5 import E5
from khung.vision.objects import ObjectDetector
from khung.vision.vocabulary import image_classes, objects

TOP = 30
OBJECT_WEIGHT = 0.3
CODE_VERSION = 1


class ConseEmbedder:
    """Embedder over labels. `weights`: the model files' checksums, E5's first; `cache_dir` keeps the labels' vectors."""

    def __init__(
        self, e5: E5, classifier: ImageClassifier, detector: ObjectDetector, *, weights: Sequence[str], cache_dir: Path
    ) -> None:
        self.dim = e5.dim
        self.fingerprint = fingerprint_of(weights)
        self._e5, self._classifier, self._detector = e5, classifier, detector
        labels = _label_vectors(e5, weights[0], cache_dir)
        self._mean = labels.mean(0)
        self._labels = labels - self._mean
        self._object_rows = {thing.en: len(image_classes()) + i for i, thing in enumerate(objects())}

    def embed_images(self, images: Sequence[Image]) -> np.ndarray:
        return self.embed_recognised(self._classifier(images), self._detector(images))

    def embed_recognised(self, probabilities: np.ndarray, regions: Sequence[Sequence[Region]]) -> np.ndarray:
        """The vectors of images that were recognised already: `(n, 1000)` probabilities and the objects of each."""
        rows = [self._combine(*pair) for pair in zip(probabilities, regions, strict=True)]
        return _unit(np.stack(rows)) if rows else np.empty((0, self.dim), np.float32)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        if not texts:
            return np.empty((0, self.dim), np.float32)
        return _unit(self._e5.queries(texts) - self._mean)

    def _combine(self, probabilities: np.ndarray, regions: Sequence[Region]) -> np.ndarray:
        top = np.argpartition(-probabilities, TOP)[:TOP]
        weights = np.sqrt(probabilities[top])
        vector = weights @ self._labels[top] / max(float(weights.sum()), 1e-9)
        for label, score in surest(regions).items():
            vector = vector + OBJECT_WEIGHT * score * self._labels[self._object_rows[label]]
        return vector


def surest(regions: Sequence[Region]) -> dict[str, float]:
    """The best score of each label."""
    best: dict[str, float] = {}
    for region in regions:
        best[region.label] = max(best.get(region.label, 0.0), region.score)
    return best


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of unit length; a row with no direction at all gets the first axis, never NaN."""
    vectors = np.nan_to_num(vectors.astype(np.float32))
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[:, 0] += (lengths[:, 0] < 1e-6).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _texts() -> tuple[list[str], list[str]]:
    """The labels in English (with the broader word where there is one) and in Vietnamese; objects after classes."""
    classes, things = image_classes(), objects()
    english = [f"{c.kind}, {c.en}" if c.kind else c.en for c in classes] + [t.en for t in things]
    return english, [c.vi for c in classes] + [t.vi for t in things]


def fingerprint_of(weights: Sequence[str]) -> str:
    """The embedder's fingerprint; no model is needed to know it."""
    english, vietnamese = _texts()
    versions = f"{CODE_VERSION} {E5.code_version} {ImageClassifier.code_version} {ObjectDetector.code_version}"
    parts = [*weights, versions, f"{TOP} {OBJECT_WEIGHT}", *english, *vietnamese]
    return f"conse-e5-small/{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()[:16]}"


def _label_vectors(e5: E5, e5_weights: str, cache_dir: Path) -> np.ndarray:
    """`(labels, dim)`; computed once in some ten seconds and kept beside the model files when that folder can be written."""
    english, vietnamese = _texts()
    key = hashlib.sha256("\n".join([e5_weights, str(E5.code_version), *english, *vietnamese]).encode()).hexdigest()
    cache = cache_dir / f"labels-{key[:16]}.npy"
    with suppress(OSError, ValueError, EOFError):  # there is none yet, or a broken one: made anew
        return load(cache)
    vectors = (e5.queries(english) + e5.queries(vietnamese)) / 2
    if os.access(cache_dir, os.W_OK):
        with tempfile.NamedTemporaryFile(dir=cache_dir, prefix=".labels-", delete=False) as out:
            np.save(out, vectors)
            os.fchmod(out.fileno(), 0o644)  # others may use the folder, too
            os.fsync(out.fileno())
        os.replace(out.name, cache)
    return vectors
