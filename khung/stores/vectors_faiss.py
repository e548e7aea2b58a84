"""Vectors in FAISS files: inner product over unit vectors, memory-mapped, many sealed parts searched as one.

A part holds `vector_ids.npy` (ascending), `exact.faiss` (fp16, the truth) and, when it is large, `fast.faiss` (8-bit codes, flat or
IVF). Inside FAISS a vector's number is its row; outside there are only ids. Rows ascend by id, so ties keep the order of ids.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from khung.errors import ConfigError, CorruptError, NotFound, StoreError
from khung.stores.idsets import is_in

IDS, EXACT, FAST, FAST_PARAMETERS = "vector_ids.npy", "exact.faiss", "fast.faiss", "fast.json"
SEED = 20261122
RECALL_GATE = 0.98  # recall@10 against exact, of an approximate index
GATE_QUERIES = 64
TIE = 1e-4  # scores nearer than this are one score: the rounding of fp16 is about 2e-5


@dataclass(frozen=True, slots=True)
class IndexPolicy:
    """Which kind of index a part gets. `bench/STORES.md` has the measurements behind the sizes."""

    exact_up_to: int = 20_000
    sq8_up_to: int = 50_000
    recall_at_10: float = RECALL_GATE
    gate_queries: int = GATE_QUERIES


@dataclass(frozen=True, slots=True)
class Fast:
    """What `fast.faiss` is, and the recall@10 against exact that it was sealed with."""

    kind: str = "none"  # none | sq8 | ivf
    nlist: int = 0
    nprobe: int = 0
    recall_at_10: float = 1.0


# -- building


def write_part(folder: Path, ids: np.ndarray, vectors: np.ndarray, policy: IndexPolicy) -> Fast:
    """Write one part into an empty folder: `ids` int64 (n,), `vectors` (n, d) of unit length, in any order.

    The cheapest kind whose recall@10 reaches the policy's gate is kept. Raises StoreError on vectors that no search could use.
    """
    import faiss

    order = np.argsort(ids, kind="stable")
    ids, vectors = ids[order], np.asarray(vectors)[order]
    check_vectors(ids, vectors)
    vectors = vectors.astype(np.float16).astype(np.float32)  # what a later seal will read back gives the same files
    faiss.omp_set_num_threads(1)
    exact = faiss.IndexScalarQuantizer(vectors.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    if len(ids):
        exact.add(vectors)
    np.save(folder / IDS, ids.astype(np.int64))
    _save(exact, folder / EXACT)
    index, fast = _fast_index(exact, vectors, policy)
    if index is not None:
        _save(index, folder / FAST)
    (folder / FAST_PARAMETERS).write_text(json.dumps(asdict(fast), sort_keys=True))
    return fast


def _save(index: Any, path: Path) -> None:
    import faiss

    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:  # FAISS has no other for a refused write
        raise StoreError(f"{path} could not be written: {error}", cure="Is the disk full?") from error


def check_vectors(ids: np.ndarray, vectors: np.ndarray) -> None:
    """Raises StoreError unless ids are distinct and every vector is finite and of unit length (within fp16's rounding)."""
    if vectors.ndim != 2 or len(vectors) != len(ids):
        raise StoreError(f"{len(ids)} ids for vectors of shape {vectors.shape}.")
    if len(ids) > 1 and not (np.diff(ids) > 0).all():
        raise StoreError("Two vectors have one id.")
    lengths = np.linalg.norm(vectors, axis=1)
    if bad := int((~(np.abs(lengths - 1) < 1e-2)).sum()):  # NaN is bad too
        raise StoreError(f"{bad} vectors are not finite or not of unit length.", cure="Embed those frames again.")


def _fast_index(exact: Any, vectors: np.ndarray, policy: IndexPolicy) -> tuple[Any, Fast]:
    """The first candidate that passes the gate; none for a small part, or when only exact is good enough."""
    queries = sample_queries(vectors, policy.gate_queries)
    for index, fast in _candidates(vectors, policy):
        recall = recall_at_10(exact, index, fast, queries)
        if recall >= policy.recall_at_10:
            return index, Fast(fast.kind, fast.nlist, fast.nprobe, recall)
    return None, Fast()


def _candidates(vectors: np.ndarray, policy: IndexPolicy) -> Iterable[tuple[Any, Fast]]:
    import faiss

    n, dim = vectors.shape
    if n <= policy.exact_up_to:
        return
    if n > policy.sq8_up_to:
        nlist = 1 << int(np.log2(4 * np.sqrt(n)))  # FAISS's guideline: 4 to 16 √n
        coarse = faiss.IndexFlatIP(dim)
        ivf = faiss.IndexIVFScalarQuantizer(
            coarse, dim, nlist, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT, False
        )
        ivf.cp.seed = SEED
        ivf.train(training_sample(vectors, 40 * nlist))
        ivf.add(vectors)
        for nprobe in (8, 16, 32, 64, 128):
            if nprobe <= nlist:
                yield ivf, Fast("ivf", nlist, nprobe)
    flat = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
    flat.train(training_sample(vectors, 20_000))
    flat.add(vectors)
    yield flat, Fast("sq8")


def training_sample(vectors: np.ndarray, size: int) -> np.ndarray:
    if len(vectors) <= size:
        return vectors
    return vectors[np.sort(np.random.default_rng(SEED).choice(len(vectors), size, replace=False))]


def sample_queries(vectors: np.ndarray, size: int) -> np.ndarray:
    """`(size, d)` queries for gates and canaries: halfway between two vectors of the part, so that none is its own answer."""
    if not len(vectors) or not size:
        return np.zeros((0, vectors.shape[1]), np.float32)
    pairs = np.random.default_rng(SEED).integers(0, len(vectors), (size, 2))
    mixed = vectors[pairs[:, 0]].astype(np.float32) + vectors[pairs[:, 1]]
    mixed[np.linalg.norm(mixed, axis=1) < 1e-3] += vectors[0]  # two opposite vectors have no middle
    return mixed / np.linalg.norm(mixed, axis=1, keepdims=True)


def recall_at_10(exact: Any, index: Any, fast: Fast, queries: np.ndarray) -> float:
    """The share of `index`'s first ten whose exact score reaches the exact tenth. Ties count as found."""
    k = min(10, exact.ntotal)
    if not len(queries) or not k:
        return 1.0
    scores, _ = exact.search(queries, k)
    _, rows = index.search(queries, k, params=_parameters(fast, None))
    found = [
        sum(q @ exact.reconstruct(int(row)) >= tenth - TIE for row in found_rows if row >= 0)
        for q, tenth, found_rows in zip(queries, scores[:, -1], rows, strict=True)
    ]
    return float(np.sum(found) / (k * len(queries)))


# -- searching


class _Part:
    """One sealed part, opened by memory map."""

    def __init__(self, folder: Path) -> None:
        import faiss

        try:
            self.ids = np.load(folder / IDS, mmap_mode="r", allow_pickle=False)
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

    def search(
        self, queries: np.ndarray, k: int, allowed: np.ndarray | None, exact: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        rows = None if allowed is None else self.rows_of(allowed)
        if not len(self.ids) or (rows is not None and not len(rows)):
            return _nothing(len(queries), 0)
        # a narrow filter leaves most lists empty, where an approximate search finds too little
        use_exact = exact or self.index is None or (rows is not None and 10 * len(rows) < len(self.ids))
        index, fast = (self.exact, Fast()) if use_exact else (self.index, self.fast)
        bitmap = None if rows is None or len(rows) == len(self.ids) else _bitmap(rows, len(self.ids))
        scores, found = index.search(queries, min(k, len(self.ids)), params=_parameters(fast, bitmap))
        missing = found < 0
        ids = np.where(missing, -1, self.ids[np.where(missing, 0, found)])
        return np.where(missing, -np.inf, scores).astype(np.float32), ids


class FaissVectors:
    """A VectorIndex over the parts in `folders`. Thread-safe: nothing changes after opening."""

    def __init__(self, folders: Sequence[Path], dim: int) -> None:
        self.dim = dim
        self._parts = [_Part(Path(folder)) for folder in folders]
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

        `allowed`: int64 ids, or None for all; they are applied inside the search. `exact` passes by the approximate index.
        """
        import faiss

        faiss.omp_set_num_threads(1)  # a setting of the calling thread: one request, one thread
        queries = self._checked(queries)
        if k < 1:
            raise ConfigError(f"k must be at least 1, not {k}.")
        share = min(k, 2 * k // max(len(self._parts), 1) + 32)
        found = [part.search(queries, share, allowed, exact) for part in self._parts]
        if share < k:
            bar = _best(found, k)[0][
                :, -1:
            ]  # a part whose last hit could still be among the best is asked again for all
            full = [len(s.T) == share and bool((s[:, -1:] >= bar).any()) for s, _ in found]
            found = [
                part.search(queries, k, allowed, exact) if again else hits
                for part, hits, again in zip(self._parts, found, full, strict=True)
            ]
        return _best([*found, _nothing(len(queries), k)], k)

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
        parts = [part for part in self._parts if part.index is not None]
        made = ((p, sample_queries(p.exact.reconstruct_n(0, p.exact.ntotal), GATE_QUERIES)) for p in parts)
        return min((recall_at_10(p.exact, p.index, p.fast, asked) for p, asked in made), default=1.0)

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


def _bitmap(rows: np.ndarray, size: int) -> np.ndarray:
    marks = np.zeros(size, bool)
    marks[rows] = True
    return np.packbits(marks, bitorder="little")


def _parameters(fast: Fast, bitmap: np.ndarray | None) -> Any:
    """FAISS search parameters; the selector keeps a reference to its bitmap."""
    import faiss

    chosen = {} if bitmap is None else {"sel": faiss.IDSelectorBitmap(bitmap)}
    if fast.kind == "ivf":
        return faiss.SearchParametersIVF(nprobe=fast.nprobe, **chosen)
    return faiss.SearchParameters(**chosen) if chosen else None
