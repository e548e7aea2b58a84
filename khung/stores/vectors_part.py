"""One sealed part of vectors, opened by memory map, and how a query goes through its files. Many parts as one index: vectors_faiss.py.

Inside FAISS a vector's number is its row; outside there are only ids. Rows ascend by id, so ties keep the order of ids.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from khung.errors import CorruptError
from khung.stores.arrays import load
from khung.stores.idsets import is_in
from khung.stores.vectors_build import EXACT, FAST, FAST_PARAMETERS, IDS
from khung.stores.vectors_recall import GATE_QUERIES, Fast, parameters, recall_at_10, sample_queries

_SAME = 1e-6  # equal vectors have equal codes; the sums of a score may come in another order
_LISTS_FOR = 100  # hits that the lists of the recall gate are thought enough for


@dataclass(frozen=True, slots=True)
class Chosen:
    """The rows of one part that a filter lets pass."""

    count: int
    bitmap: np.ndarray  # one bit a row, as FAISS reads it


class Part:
    """One sealed part. Raises CorruptError."""

    def __init__(self, folder: Path) -> None:
        import faiss

        try:
            self.ids = np.asarray(load(folder / IDS, mapped=True))  # a plain view: sooner
            self.exact = faiss.read_index(str(folder / EXACT), faiss.IO_FLAG_MMAP_IFC)
            self.fast = Fast(**json.loads((folder / FAST_PARAMETERS).read_bytes()))
            self.index = None
            if self.fast.kind != "none":
                self.index = faiss.read_index(str(folder / FAST), faiss.IO_FLAG_MMAP_IFC)
        except (RuntimeError, ValueError, TypeError, OSError, EOFError) as error:
            raise CorruptError(f"The vectors in {folder} cannot be read: {error}") from error
        if not len(self.ids) == self.exact.ntotal == (self.index or self.exact).ntotal:
            raise CorruptError(f"The vectors in {folder} disagree on their number.")

    def rows_of(self, ids: np.ndarray) -> np.ndarray:
        """The rows of those ids that are here."""
        return np.searchsorted(self.ids, ids[is_in(ids, self.ids)])

    def chosen(self, allowed: np.ndarray) -> Chosen:
        """The rows among the allowed ids; the shorter of the two lists is looked up in the other."""
        if len(allowed) > len(self.ids):
            marks = is_in(self.ids, allowed)
        else:
            marks = np.zeros(len(self.ids), bool)
            marks[self.rows_of(allowed)] = True
        return Chosen(int(marks.sum()), np.packbits(marks, bitorder="little"))

    def search(
        self, coarse: "Coarse", chosen: Chosen | None, exact: bool, scores: np.ndarray, rows: np.ndarray
    ) -> None:
        """Write the best into `scores` float32 and `rows` int64, both `(queries, k)` and contiguous; what is missing stays as it is, or has
        the row −1."""
        queries, passing = coarse.queries, len(self.ids) if chosen is None else chosen.count
        k = min(scores.shape[1], len(self.ids))
        if not passing or not len(queries):
            return
        # a narrow filter leaves most lists empty, where an approximate search finds too little
        use_exact = exact or self.index is None or 10 * passing < len(self.ids)
        bitmap = None if chosen is None or passing == len(self.ids) else chosen.bitmap
        if not use_exact and self.fast.kind == "ivf":
            self._search_lists(coarse, bitmap, scores, rows)
            return
        if use_exact:
            found = self.exact.search(queries, k, params=parameters(Fast(), bitmap))
        elif self.fast.kind == "hnsw":
            found = self._search_graph(queries, k, bitmap, passing)
        else:
            found = self.index.search(queries, k, params=parameters(self.fast, bitmap))
        scores[:, :k], rows[:, :k] = found

    def _search_lists(self, coarse: "Coarse", bitmap: np.ndarray | None, scores: np.ndarray, rows: np.ndarray) -> None:
        """The lists were chosen once for all parts. (FAISS's Python wrapper of this call takes no parameters.)"""
        import faiss

        lists = coarse.lists(self.index.quantizer, self.fast)
        asked = lists.parameters if bitmap is None else parameters(lists.fast, bitmap)
        self.index.search_preassigned_c(
            len(coarse.queries), coarse.pointer, scores.shape[1], lists.numbers, lists.near,
            faiss.swig_ptr(scores), faiss.swig_ptr(rows), False, asked,
        )  # fmt: skip

    def _search_graph(
        self, queries: np.ndarray, k: int, bitmap: np.ndarray | None, allowed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """A graph finds some of many equal vectors, and under a filter may find too few: then the exact index is asked."""
        more = min(k + 1, len(self.ids))
        deeper = replace(self.fast, ef=max(self.fast.ef, more))
        scores, found = self.index.search(queries, more, params=parameters(deeper, bitmap))
        unsure = (found[:, : min(k, allowed)] < 0).any(axis=1)
        if more > k:
            unsure |= (scores[:, k - 1] - scores[:, k] < _SAME) & (found[:, k] >= 0)
        if unsure.any():
            scores[unsure, :k], found[unsure, :k] = self.exact.search(
                queries[unsure], k, params=parameters(Fast(), bitmap)
            )
        return scores[:, :k], found[:, :k]

    def measured_recall(self) -> float:
        return recall_at_10(self.exact, self.index, self.fast, sample_queries(self.exact, GATE_QUERIES))


@dataclass(frozen=True, slots=True)
class Lists:
    """The lists that one kind of part is asked for: pointers into `held`, and FAISS's parameters without a filter."""

    fast: Fast
    near: Any
    numbers: Any
    parameters: Any
    held: tuple[np.ndarray, np.ndarray]


class Coarse:
    """The lists near some queries, found once for each coarse quantiser; more of them for longer answers."""

    def __init__(self, queries: np.ndarray, k: int, parts: Sequence[Part]) -> None:
        import faiss

        self.queries, self.pointer = queries, faiss.swig_ptr(queries)
        self._times = 1 + k // _LISTS_FOR
        self._most: dict[str, int] = {}
        for fast in {part.fast for part in parts}:
            self._most[fast.coarse] = max(self._most.get(fast.coarse, 0), self._widened(fast))
        self._near: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._known: dict[tuple[str, int], Lists] = {}

    def _widened(self, fast: Fast) -> int:
        """The gate was passed for ten hits; hundreds lie in more lists."""
        return min(fast.nprobe * self._times, fast.nlist)

    def lists(self, quantizer: Any, fast: Fast) -> Lists:
        """The nearest lists, so many as that part wants."""
        name = fast.coarse, self._widened(fast)
        if name not in self._known:
            self._known[name] = self._found(quantizer, replace(fast, nprobe=name[1]))
        return self._known[name]

    def _found(self, quantizer: Any, fast: Fast) -> Lists:
        import faiss

        if fast.coarse not in self._near:
            self._near[fast.coarse] = quantizer.search(self.queries, self._most[fast.coarse])
        near, numbers = (np.ascontiguousarray(column[:, : fast.nprobe]) for column in self._near[fast.coarse])
        return Lists(fast, faiss.swig_ptr(near), faiss.swig_ptr(numbers), parameters(fast, None), (near, numbers))
