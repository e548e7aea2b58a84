"""Vectors in FAISS files: inner product over unit vectors, memory-mapped, many sealed parts searched as one.

A part holds `vector_ids.npy` (ascending), `exact.faiss` (fp16, the truth) and, when it is large, `fast.faiss` (8-bit codes: flat, a
graph, or inverted lists). Inside FAISS a vector's number is its row; outside there are only ids. Rows ascend by id, so ties keep the order of ids.
"""

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from cachetools import LRUCache

from khung.errors import ConfigError, CorruptError, NotFound, StoreError
from khung.stores.idsets import is_in
from khung.stores.vectors_build import EXACT, FAST, FAST_PARAMETERS, IDS, IndexPolicy, write_part
from khung.stores.vectors_recall import GATE_QUERIES, MORE, Fast, parameters, recall_at_10, sample_queries

__all__ = ["FaissVectors", "IndexPolicy", "write_part"]

_SHORT = 100  # hits whose stored vectors are worth reading
_TOGETHER = 64  # queries whose candidates are in memory together
_SAME = 1e-6  # equal vectors have equal codes; the sums of a score may come in another order
_FILTERS = 16  # sets of allowed ids whose bits are remembered
_LISTS_FOR = 100  # hits that the lists of the recall gate are thought enough for


class _Part:
    """One sealed part, opened by memory map."""

    def __init__(self, folder: Path) -> None:
        import faiss

        try:
            self.ids = np.asarray(np.load(folder / IDS, mmap_mode="r", allow_pickle=False))  # a plain view: sooner
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

    def chosen(self, allowed: np.ndarray) -> "_Chosen":
        """The rows among the allowed ids; the shorter of the two lists is looked up in the other."""
        if len(allowed) > len(self.ids):
            marks = is_in(self.ids, allowed)
        else:
            marks = np.zeros(len(self.ids), bool)
            marks[self.rows_of(allowed)] = True
        return _Chosen(int(marks.sum()), np.packbits(marks, bitorder="little"))

    def search(self, coarse: "_Coarse", k: int, chosen: "_Chosen | None", exact: bool) -> tuple[np.ndarray, np.ndarray]:
        queries, rows = coarse.queries, len(self.ids) if chosen is None else chosen.count
        if not rows:
            return _nothing(len(queries), 0)
        # a narrow filter leaves most lists empty, where an approximate search finds too little
        use_exact = exact or self.index is None or 10 * rows < len(self.ids)
        bitmap = None if chosen is None or rows == len(self.ids) else chosen.bitmap
        k = min(k, len(self.ids))
        if use_exact:
            scores, found = self.exact.search(queries, k, params=parameters(Fast(), bitmap))
        elif self.fast.kind == "ivf":
            scores, found = self._search_lists(coarse, k, bitmap)
        elif self.fast.kind == "hnsw":
            scores, found = self._search_graph(queries, k, bitmap, rows)
        else:
            scores, found = self.index.search(queries, k, params=parameters(self.fast, bitmap))
        missing = found < 0
        if not missing.any():
            return scores, self.ids[found]
        ids = np.where(missing, -1, self.ids[np.where(missing, 0, found)])
        return np.where(missing, -np.inf, scores).astype(np.float32), ids

    def _search_lists(self, coarse: "_Coarse", k: int, bitmap: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """The lists were chosen once for all parts. (FAISS's Python wrapper of this call takes no parameters.)"""
        import faiss

        fast = coarse.widened(self.fast)
        near, lists = coarse.lists(self.index.quantizer, fast)
        scores, found = _nothing(len(coarse.queries), k)
        self.index.search_preassigned_c(
            len(coarse.queries), faiss.swig_ptr(coarse.queries), k, faiss.swig_ptr(lists), faiss.swig_ptr(near),
            faiss.swig_ptr(scores), faiss.swig_ptr(found), False, parameters(fast, bitmap),
        )  # fmt: skip
        return scores, found

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
class _Chosen:
    """The rows of one part that a filter lets pass."""

    count: int
    bitmap: np.ndarray  # one bit a row, as FAISS reads it


class _Coarse:
    """The lists near some queries, found once for each coarse quantiser; more of them for longer answers."""

    def __init__(self, queries: np.ndarray, k: int, parts: "Sequence[_Part]") -> None:
        self.queries = queries
        self._times = 1 + k // _LISTS_FOR
        self._most: dict[str, int] = {}
        for fast in (part.fast for part in parts):
            self._most[fast.coarse] = max(self._most.get(fast.coarse, 0), self.widened(fast).nprobe)
        self._known: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def widened(self, fast: Fast) -> Fast:
        """The gate was passed for ten hits; hundreds lie in more lists."""
        return replace(fast, nprobe=min(fast.nprobe * self._times, fast.nlist))

    def lists(self, quantizer: Any, fast: Fast) -> tuple[np.ndarray, np.ndarray]:
        """The nearest `fast.nprobe` lists: closeness and number, `(n, nprobe)` each."""
        if fast.coarse not in self._known:
            self._known[fast.coarse] = quantizer.search(self.queries, self._most[fast.coarse])
        near, lists = self._known[fast.coarse]
        return np.ascontiguousarray(near[:, : fast.nprobe]), np.ascontiguousarray(lists[:, : fast.nprobe])


class FaissVectors:
    """A VectorIndex over the parts in `folders`. Thread-safe: nothing changes after opening."""

    def __init__(self, folders: Sequence[Path], dim: int) -> None:
        self.dim = dim
        self._parts = [_Part(Path(folder)) for folder in folders]
        self._lock = threading.Lock()
        self._filters: LRUCache[int, tuple[np.ndarray, list[_Chosen]]] = LRUCache(_FILTERS)
        for part, folder in zip(self._parts, folders, strict=True):
            if part.exact.d != dim:
                raise CorruptError(f"The vectors in {folder} have {part.exact.d} dimensions, not {dim}.")

    def __len__(self) -> int:
        return sum(len(part.ids) for part in self._parts)

    @property
    def kinds(self) -> list[Fast]:
        """What each part is."""
        return [part.fast for part in self._parts]

    def search(
        self, queries: np.ndarray, k: int, *, allowed: np.ndarray | None = None, exact: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """`(scores, ids)`, each `(n, k)`, best first, ties by id; missing places have id -1 and score -inf.

        `allowed`: int64 ids, or None for all; they are applied inside the search. `exact` passes by the approximate indexes; of a
        short list the exact scores decide anyway, over some more candidates than were asked for.
        """
        import faiss

        faiss.omp_set_num_threads(1)  # a setting of the calling thread: one request, one thread
        queries = self._checked(queries)
        if k < 1:
            raise ConfigError(f"k must be at least 1, not {k}.")
        if exact or k > _SHORT or all(part.index is None for part in self._parts):
            return self._search(queries, k, allowed, exact)
        pieces = [queries[start : start + _TOGETHER] for start in range(0, len(queries), _TOGETHER)]
        found = [self._by_exact_scores(piece, self._search(piece, k + MORE, allowed, False)[1], k) for piece in pieces]
        return _nothing(0, k) if not found else tuple(np.concatenate(columns) for columns in zip(*found, strict=True))

    def _by_exact_scores(self, queries: np.ndarray, found: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        ids, where = np.unique(found, return_inverse=True)
        vectors = np.zeros((len(ids), self.dim), np.float32)
        vectors[ids >= 0] = self.stored(ids[ids >= 0])
        scores = np.einsum("qkd,qd->qk", vectors[where.reshape(found.shape)], queries)
        return _best([(np.where(found < 0, -np.inf, scores), found)], k)

    def _search(
        self, queries: np.ndarray, k: int, allowed: np.ndarray | None, exact: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        coarse, chosen = _Coarse(queries, k, self._parts), self._chosen(allowed)
        share = min(k, 2 * k // max(len(self._parts), 1) + 32)
        found = [part.search(coarse, share, rows, exact) for part, rows in zip(self._parts, chosen, strict=True)]
        if share < k:
            bar = _best(found, k)[0][
                :, -1:
            ]  # a part whose last hit could still be among the best is asked again for all
            full = [len(s.T) == share and bool((s[:, -1:] >= bar).any()) for s, _ in found]
            found = [
                part.search(coarse, k, rows, exact) if again else hits
                for part, hits, rows, again in zip(self._parts, found, chosen, full, strict=True)
            ]
        return _best([*found, _nothing(len(queries), k)], k)

    def _chosen(self, allowed: np.ndarray | None) -> "list[_Chosen | None]":
        """By part. A searcher keeps a filter for many questions: the latest are remembered, each with its array, so that the
        array's address stays its own."""
        if allowed is None:
            return [None] * len(self._parts)
        with self._lock:
            known = self._filters.get(id(allowed))
        if known is None:
            known = (allowed, [part.chosen(allowed) for part in self._parts])
            with self._lock:
                self._filters[id(allowed)] = known
        return known[1]

    def reconstruct(self, vector_id: int) -> np.ndarray:
        for part in self._parts:
            rows = part.rows_of(np.array([vector_id], np.int64))
            if len(rows):
                return part.exact.reconstruct(int(rows[0]))
        raise NotFound(f"There is no vector {vector_id}.")

    def ids(self) -> np.ndarray:
        """Every id, ascending."""
        return np.sort(np.concatenate([np.zeros(0, np.int64), *(part.ids for part in self._parts)]))

    def measured_recall(self) -> float:
        """recall@10 of the worst part against exact search, on directions made from its own vectors."""
        return min((part.measured_recall() for part in self._parts if part.index is not None), default=1.0)

    def stored(self, vector_ids: np.ndarray) -> np.ndarray:
        """The stored vectors `(n, dim)` float32 of those ids, in their order. Raises NotFound when one is missing."""
        found = np.zeros((len(vector_ids), self.dim), np.float32)
        missing = np.ones(len(vector_ids), bool)
        for part in self._parts:
            here = is_in(vector_ids, part.ids)
            if here.any():
                found[here] = part.exact.reconstruct_batch(part.rows_of(vector_ids[here]))
                missing &= ~here
        if missing.any():
            raise NotFound(f"There is no vector {vector_ids[missing][0]}.")
        return found

    def _checked(self, queries: np.ndarray) -> np.ndarray:
        queries = np.ascontiguousarray(queries, np.float32)
        wrong_dim = self._parts and queries.shape[-1] != self.dim  # an empty library takes any question
        if queries.ndim != 2 or wrong_dim or not np.isfinite(queries).all():
            raise StoreError(f"Queries of shape {queries.shape} are not finite vectors of {self.dim} dimensions.")
        return queries


def _best(found: Sequence[tuple[np.ndarray, np.ndarray]], k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k best of several parts' hits, ties by id; fewer when there are fewer, then the bar is −∞."""
    scores = np.concatenate([s for s, _ in found], axis=1)
    ids = np.concatenate([i for _, i in found], axis=1)
    best = np.lexsort((ids, -scores), axis=1)[:, :k]
    return np.take_along_axis(scores, best, 1), np.take_along_axis(ids, best, 1)


def _nothing(n: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full((n, k), -np.inf, np.float32), np.full((n, k), -1, np.int64)
