"""The vectors of all parts as 8-bit codes in one set of inverted lists, in memory: what a process asks that answers many questions.

Sealed parts stay as they are; this is made of them and finds at least what they find (docs/decisions/0083). Asking the parts
themselves is vectors_part.py, which of the two is asked vectors_faiss.py.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from khung.stores.idsets import ByFilter, is_in
from khung.stores.loops import compiled
from khung.stores.ordering import best_first
from khung.stores.vectors_part import Part
from khung.stores.vectors_recall import blocks

_MOST_BYTES = 1 << 30  # of codes; a larger library is asked part by part, from files that processes share
_TRAINED_ON = 20_000  # vectors that show the range of codes
_LEAST = 0.1  # of the frames: a filter that passes fewer leaves most lists empty


class Gathered:
    """Codes of all frames, those of one list together, the lists around `centroids` float32 (lists, d)."""

    def __init__(self, parts: Sequence[Part], centroids: np.ndarray, name: str) -> None:
        """`name`: what the parts call those centroids."""
        of_parts = np.concatenate([part.ids for part in parts])
        by_id = np.argsort(of_parts)
        self._ids = of_parts[by_id]
        lists = np.concatenate([_lists_of(part, centroids, name) for part in parts])[by_id]
        self._rows = np.argsort(lists, kind="stable").astype(np.int32)  # row, ascending by id, of each code
        self._starts = np.concatenate([[0], np.cumsum(np.bincount(lists, minlength=len(centroids)))]).astype(np.int64)
        places = np.empty(len(lists), np.int64)
        places[by_id[self._rows]] = np.arange(len(lists))
        self._low, self._step = _range_of(parts)
        self._heads = self._coded(
            centroids
        )  # as exact as the codes behind them, and a quarter of the memory to look through
        self._filters: ByFilter[_Passing | None] = ByFilter()
        self.probes: Callable[[int], int] = lambda k: self.lists
        """How many lists are asked for k frames."""
        self._codes = np.empty((len(lists), centroids.shape[1]), np.uint8)
        for first, part in zip(np.cumsum([0, *(len(part.ids) for part in parts)]), parts, strict=False):
            for start, block in blocks(part.exact, 0, len(part.ids)):
                here = places[first + start : first + start + len(block)]
                self._codes[here] = self._coded(block)

    @property
    def lists(self) -> int:
        return len(self._heads)

    def _coded(self, vectors: np.ndarray) -> np.ndarray:
        return np.clip(np.rint((vectors - self._low) / self._step), 0, 255).astype(np.uint8)

    def search(
        self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None, *, probes: int | None = None
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """`(scores, ids)`, each (n, k), best first, ties by id; missing places have id -1 and score -inf. None when so few frames are
        allowed that lists are no help. `probes`: ask so many lists, whatever was found to be enough."""
        passing = _ALL if allowed is None else self._filters.known(allowed, lambda: self._passing(allowed))
        if passing is None:
            return None
        lists = min(round((probes or self.probes(k)) / passing.share), self.lists)  # as many frames as without a filter
        scores, ids = np.full((len(queries), k), -np.inf, np.float32), np.full((len(queries), k), -1, np.int64)
        for n, query in enumerate(queries):
            found, places = self._scanned(query, lists, passing.marks)
            best, rows = best_first(found, self._rows[places], k)
            scores[n, : len(rows)], ids[n, : len(rows)] = best, self._ids[rows]
        return scores, ids

    def _passing(self, allowed: np.ndarray) -> "_Passing | None":
        marks = is_in(self._ids, allowed)
        share = float(marks.mean())
        return None if share < _LEAST else _Passing(marks[self._rows].view(np.uint8), share)

    def _scanned(self, query: np.ndarray, probes: int, passing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scores float32 and places of all codes in the lists nearest to one query."""
        scan = compiled(_scan, any_order=True)
        query, low = query * self._step, np.float32(query @ self._low)
        near = np.arange(self.lists)
        if probes < self.lists:
            heads, _ = scan(self._heads, np.array([0, self.lists]), near[:1], query, low, _ALL.marks)
            near = np.argpartition(heads, self.lists - probes)[self.lists - probes :]
        return scan(self._codes, self._starts, near, query, low, passing)


@dataclass(frozen=True, slots=True)
class _Passing:
    """What a filter lets pass: uint8 by code, empty where it is all; and its share of all."""

    marks: np.ndarray
    share: float


_ALL = _Passing(np.zeros(0, np.uint8), 1.0)


def gathered(parts: Sequence[Part]) -> Gathered | None:
    """All parts in one, if there are lists among them. Takes about a second of CPU and 40 MB for 100,000 vectors of 384 dimensions."""
    parts = [part for part in parts if len(part.ids)]
    names = Counter(part.fast.coarse for part in parts if part.fast.kind == "ivf")
    size = sum(len(part.ids) * part.exact.d for part in parts)
    if not names or size > _MOST_BYTES:
        return None
    name = names.most_common(1)[0][0]
    coarse = next(part.index.quantizer for part in parts if part.fast.coarse == name)
    return Gathered(parts, coarse.reconstruct_n(0, coarse.ntotal), name)


def _lists_of(part: Part, centroids: np.ndarray, name: str) -> np.ndarray:
    """By row: the list that a part itself has it in, or the nearest."""
    import faiss

    lists = np.empty(len(part.ids), np.int64)
    if part.fast.kind == "ivf" and part.fast.coarse == name:
        held = part.index.invlists
        for number in range(part.fast.nlist):
            if size := held.list_size(number):
                lists[faiss.rev_swig_ptr(held.get_ids(number), size)] = number
        return lists
    for start, block in blocks(part.exact, 0, len(part.ids)):
        lists[start : start + len(block)] = np.argmax(block @ centroids.T, axis=1)
    return lists


def _range_of(parts: Sequence[Part]) -> tuple[np.ndarray, np.ndarray]:
    """By dimension: the least value, and what a code is worth. Rows ascend by ids that are hashes: the first are a random sample."""
    share = max(_TRAINED_ON // len(parts), 1)
    firsts = [part.exact.reconstruct_n(0, min(share, len(part.ids))) for part in parts]
    low = np.min([some.min(axis=0) for some in firsts], axis=0)
    high = np.max([some.max(axis=0) for some in firsts], axis=0)
    return low, np.maximum(high - low, 1e-9) / np.float32(255)


def _scan(codes, starts, lists, query, low, passing):
    """Of each list in turn every code that passes; `passing` is empty where all do. Summed in any order, a code costs a third of the time that
    FAISS's 8-bit codes take."""
    most = 0
    for number in lists:
        most += starts[number + 1] - starts[number]
    scores, places, n = np.empty(most, np.float32), np.empty(most, np.int64), np.uint64(0)
    for number in lists:
        first = starts[number]
        block = codes[first : starts[number + 1]]  # so each index is known to count from the beginning
        for i in range(block.shape[0]):
            if len(passing) and not passing[first + i]:
                continue
            total = low
            for j in range(block.shape[1]):
                total += np.float32(block[i, j]) * query[j]
            scores[n], places[n] = total, first + i
            n += np.uint64(1)
    return scores[:n], places[:n]
