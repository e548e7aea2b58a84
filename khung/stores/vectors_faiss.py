"""Vectors in FAISS files: inner product over unit vectors, memory-mapped, many sealed parts searched as one.

A part holds `vector_ids.npy` (ascending), `exact.faiss` (fp16, the truth) and, when it is large, `fast.faiss` (8-bit codes: flat, a
graph, or inverted lists); how one is searched is vectors_part.py. A process that answers many questions gathers the parts
(vectors_gathered.py).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from khung.errors import ConfigError, CorruptError, NotFound, StoreError
from khung.stores.idsets import ByFilter, is_in
from khung.stores.vectors_build import IndexPolicy, write_part
from khung.stores.vectors_gathered import Gathered, gathered
from khung.stores.vectors_part import Chosen, Coarse, Part
from khung.stores.vectors_probes import as_good
from khung.stores.vectors_recall import MORE, Fast

__all__ = ["FaissVectors", "IndexPolicy", "write_part"]

_SHORT = 100  # hits whose stored vectors are worth reading
_TOGETHER = 64  # queries whose candidates are in memory together


class FaissVectors:
    """A VectorIndex over the parts in `folders`. Thread-safe: vectors never change, and `warm` only changes where they are read."""

    def __init__(self, folders: Sequence[Path], dim: int) -> None:
        self.dim = dim
        self.parts = [Part(Path(folder)) for folder in folders]
        self._ids = np.concatenate([np.zeros(0, np.int64), *(part.ids for part in self.parts)])
        """Of all rows, one part after another; `_starts` says where each begins."""
        self._starts = np.cumsum([0, *(len(part.ids) for part in self.parts)])[:-1]
        self._filters: ByFilter[list[Chosen]] = ByFilter()
        self._gathered: Gathered | None = None
        for part, folder in zip(self.parts, folders, strict=True):
            if part.exact.d != dim:
                raise CorruptError(f"The vectors in {folder} have {part.exact.d} dimensions, not {dim}.")

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def kinds(self) -> list[Fast]:
        """What each part is."""
        return [part.fast for part in self.parts]

    def warm(self) -> None:
        """Ask one set of lists in place of each part's own: a quarter of the time. It must find what the parts find."""
        if len(self.parts) > 1 and self._gathered is None and (one := gathered(self.parts)) is not None:
            self._gathered = one if as_good(one, self) else None

    def search(
        self, queries: np.ndarray, k: int, *, allowed: np.ndarray | None = None, exact: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """`(scores, ids)`, each `(n, k)`, best first, ties by id; missing places have id -1 and score -inf.

        `allowed`: int64 ids, or None for all; they are applied inside the search. `exact` passes by the approximate indexes; of a
        short list the exact scores decide anyway, over some more candidates than were asked for.
        """
        queries = self._checked(queries)
        if k < 1:
            raise ConfigError(f"k must be at least 1, not {k}.")
        if exact or k > _SHORT or all(part.index is None for part in self.parts):
            return self._search(queries, k, allowed, exact)
        pieces = [queries[start : start + _TOGETHER] for start in range(0, len(queries), _TOGETHER)]
        found = [self._by_exact_scores(piece, self._search(piece, k + MORE, allowed, False)[1], k) for piece in pieces]
        return _nothing(0, k) if not found else tuple(np.concatenate(columns) for columns in zip(*found, strict=True))

    def _by_exact_scores(self, queries: np.ndarray, found: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        ids, where = np.unique(found, return_inverse=True)
        vectors = np.zeros((len(ids), self.dim), np.float32)
        vectors[ids >= 0] = self.stored(ids[ids >= 0])
        scores = np.einsum("qkd,qd->qk", vectors[where.reshape(found.shape)], queries)
        return _best(np.where(found < 0, -np.inf, scores), found, k)

    def _search(
        self, queries: np.ndarray, k: int, allowed: np.ndarray | None, exact: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        import faiss

        if not self.parts:
            return _nothing(len(queries), k)
        if self._gathered and not exact and (found := self._gathered.search(queries, k, allowed)) is not None:
            return found
        faiss.omp_set_num_threads(1)  # a setting of the calling thread: one request, one thread
        coarse, chosen = Coarse(queries, k, self.parts), self._chosen(allowed)
        asked = range(len(self.parts))
        share = min(k, 2 * k // len(self.parts) + 32)
        found = self._ask(asked, coarse, chosen, exact, share)
        best = _best(*found, k)
        if share == k:
            return best
        # a part whose last hit could still be among the best is asked again for all
        bar, last = best[0][:, -1], found[0].reshape(len(queries), len(asked), share)[:, :, -1]
        again = np.flatnonzero(((last >= bar[:, None]) & (last > -np.inf)).any(axis=0)).tolist()
        if not again:
            return best
        found[0].reshape(len(queries), len(asked), share)[:, again] = -np.inf
        found[1].reshape(len(queries), len(asked), share)[:, again] = -1
        more = self._ask(again, coarse, chosen, exact, k)
        return _best(*(np.concatenate(pair, axis=1) for pair in zip(found, more, strict=True)), k)

    def _ask(
        self, parts: Sequence[int], coarse: Coarse, chosen: Sequence[Chosen | None], exact: bool, share: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The best `share` of each of those parts, side by side: `(scores, ids)`, each `(queries, parts · share)`."""
        shape = (len(parts), len(coarse.queries), share)
        scores, rows = np.full(shape, -np.inf, np.float32), np.full(shape, -1, np.int64)
        for place, number in enumerate(parts):
            self.parts[number].search(coarse, chosen[number], exact, scores[place], rows[place])
        missing = rows < 0
        rows += self._starts[parts, None, None]
        rows[missing] = 0
        ids = self._ids[rows] if len(self._ids) else rows
        scores[missing], ids[missing] = -np.inf, -1
        flat = len(coarse.queries), len(parts) * share
        return scores.swapaxes(0, 1).reshape(flat), ids.swapaxes(0, 1).reshape(flat)

    def _chosen(self, allowed: np.ndarray | None) -> list[Chosen | None]:
        """By part."""
        if allowed is None:
            return [None] * len(self.parts)
        return self._filters.known(allowed, lambda: [part.chosen(allowed) for part in self.parts])

    def reconstruct(self, vector_id: int) -> np.ndarray:
        for part in self.parts:
            rows = part.rows_of(np.array([vector_id], np.int64))
            if len(rows):
                return part.exact.reconstruct(int(rows[0]))
        raise NotFound(f"There is no vector {vector_id}.")

    def ids(self) -> np.ndarray:
        """Every id, ascending."""
        return np.sort(self._ids)

    def measured_recall(self) -> float:
        """recall@10 of the worst part against exact search, on directions made from its own vectors."""
        return min((part.measured_recall() for part in self.parts if part.index is not None), default=1.0)

    def stored(self, vector_ids: np.ndarray) -> np.ndarray:
        """The stored vectors `(n, dim)` float32 of those ids, in their order. Raises NotFound when one is missing."""
        found = np.zeros((len(vector_ids), self.dim), np.float32)
        missing = np.ones(len(vector_ids), bool)
        for part in self.parts:
            here = is_in(vector_ids, part.ids)
            if here.any():
                found[here] = part.exact.reconstruct_batch(part.rows_of(vector_ids[here]))
                missing &= ~here
        if missing.any():
            raise NotFound(f"There is no vector {vector_ids[missing][0]}.")
        return found

    def _checked(self, queries: np.ndarray) -> np.ndarray:
        queries = np.ascontiguousarray(queries, np.float32)
        wrong_dim = self.parts and queries.shape[-1] != self.dim  # an empty library takes any question
        if queries.ndim != 2 or wrong_dim or not np.isfinite(queries).all():
            raise StoreError(f"Queries of shape {queries.shape} are not finite vectors of {self.dim} dimensions.")
        return queries


def _best(scores: np.ndarray, ids: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k best of hits `(queries, n)`, ties by id; where there are fewer, missing places."""
    if scores.shape[1] < k:
        fill = _nothing(len(scores), k - scores.shape[1])
        scores, ids = np.concatenate([scores, fill[0]], axis=1), np.concatenate([ids, fill[1]], axis=1)
    if len(scores) == 1 and scores.shape[1] > k:  # the usual question: most hits need no order
        hits = np.flatnonzero(scores[0] >= np.partition(scores[0], -k)[-k])
        scores, ids = scores[:, hits], ids[:, hits]
    best = np.lexsort((ids, -scores), axis=1)[:, :k]
    return np.take_along_axis(scores, best, 1), np.take_along_axis(ids, best, 1)


def _nothing(n: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full((n, k), -np.inf, np.float32), np.full((n, k), -1, np.int64)
