"""How many lists of gathered vectors are enough: as many as find what the parts find, asked one by one, and what the recall gate wants.

What the lists are is vectors_gathered.py; the gate of a single sealed part is vectors_recall.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from khung.stores.vectors_gathered import Gathered
from khung.stores.vectors_part import Part
from khung.stores.vectors_recall import GATE_QUERIES, MORE, RECALL_GATE, SEED, TIE, sample_queries

if TYPE_CHECKING:
    from khung.stores.vectors_faiss import FaissVectors

SHORT, LONG = 10, 300
"""Lengths of an answer at which is measured; in between and beyond, lists grow evenly with the length."""
_TRIED = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 128, 192, 256, 512, 1024, 2048)


@dataclass(frozen=True, slots=True)
class Probes:
    """Lists for k frames."""

    short: int
    long: int

    def __call__(self, k: int) -> int:
        return self.short + max(round((k - SHORT) * (self.long - self.short) / (LONG - SHORT)), 0)


def as_good(one: Gathered, index: "FaissVectors") -> bool:
    """Set how many lists `one` is asked for; False when no number of them finds enough. `index` answers from its parts.

    Directions between two frames are those of every part's gate, which stays. Those that look like nothing in particular, as questions in
    words do, lie in many lists: of the frames near them as many are found as the parts find, or as the gate wants.
    """
    between, far = (_Asked(queries(index.parts), index) for queries in (_between, _far))
    short = _first(one, lambda n: between.recall(one, SHORT, n) >= RECALL_GATE and far.as_parts(one, SHORT, n))
    long = _first(one, lambda n: far.as_parts(one, LONG, n))
    one.probes = Probes(short, max(short, long)) if short and long else one.probes
    return bool(short and long)


class _Asked:
    """Directions `(n, d)`, and what exact search and the parts find of them."""

    def __init__(self, queries: np.ndarray, index: "FaissVectors") -> None:
        self._queries, self._index = queries, index
        self._exact = index.search(queries, LONG, exact=True)[0]
        self._gates = {k: min(self._share(index.search(queries, k)[1], k), RECALL_GATE) for k in (SHORT, LONG)}

    def as_parts(self, one: Gathered, k: int, probes: int) -> bool:
        """Does `one` find as many of the first k as the parts, or enough for the gate?"""
        return self.recall(one, k, probes) >= self._gates[k]

    def recall(self, one: Gathered, k: int, probes: int) -> float:
        more = MORE if k == SHORT else 0  # of a short list the exact scores decide
        return self._share(one.search(self._queries, k + more, probes=probes)[1], k)

    def _share(self, found: np.ndarray, k: int) -> float:
        """The share of the exact first k that is among those found: by score, so that ties count as found."""
        ids, where = np.unique(found, return_inverse=True)
        vectors = np.zeros((len(ids), self._queries.shape[1]), np.float32)
        vectors[ids >= 0] = self._index.stored(ids[ids >= 0])
        scores = [vectors[at] @ query for at, query in zip(where.reshape(found.shape), self._queries, strict=True)]
        good = ((np.array(scores) >= self._exact[:, k - 1, None] - TIE) & (found >= 0)).sum(axis=1)
        return float(np.minimum(good, k).mean() / k)


def _first(one: Gathered, enough: Callable[[int], bool]) -> int:
    """The least number of lists that is enough; 0 if even all are not."""
    tried = (*(n for n in _TRIED if n < one.lists), one.lists)
    return next((n for n in tried if enough(n)), 0)


def _between(parts: Sequence[Part]) -> np.ndarray:
    """`(n, d)` directions halfway between two vectors, some of each part."""
    each = -(-GATE_QUERIES // len(parts))
    return np.concatenate([sample_queries(part.exact, each) for part in parts])


def _far(parts: Sequence[Part]) -> np.ndarray:
    """`(n, d)` vectors with as much noise, some of each part."""
    each = -(-GATE_QUERIES // len(parts))
    some = np.concatenate([part.exact.reconstruct_n(0, min(each, len(part.ids))) for part in parts])
    noise = np.random.default_rng(SEED).standard_normal(some.shape, np.float32)
    mixed = some + noise / np.linalg.norm(noise, axis=1, keepdims=True)
    return mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
