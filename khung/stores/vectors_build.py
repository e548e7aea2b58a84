"""Building one sealed part of vectors: fp16 as the truth, and the cheapest faster kind that passes the recall gate.

How a part is searched is vectors_faiss.py. Large parts are IVF over a coarse quantiser that all parts of a shelf share, so that a
query is compared with its centroids once and not once a part.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from khung.errors import StoreError

IDS, EXACT, FAST, FAST_PARAMETERS = "vector_ids.npy", "exact.faiss", "fast.faiss", "fast.json"
SEED = 20261122
RECALL_GATE = 0.98  # recall@10 against exact, of an approximate index
GATE_QUERIES = 32
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
    coarse: str = ""  # which coarse quantiser: parts with one name share it
    recall_at_10: float = 1.0


def write_part(
    folder: Path, ids: np.ndarray, vectors: np.ndarray, policy: IndexPolicy, *, centroids: np.ndarray | None = None
) -> Fast:
    """Write one part into an empty folder: `ids` int64 (n,), `vectors` (n, d) of unit length, in any order.

    `centroids` (nlist, d): the coarse quantiser of an IVF kind; without, the part trains its own. The cheapest kind whose recall@10 reaches the policy's gate is kept. Raises StoreError on vectors that no search could use.
    """
    import faiss

    ids, vectors = _ascending(np.asarray(ids), np.ascontiguousarray(vectors, np.float32))
    check_vectors(ids, vectors)
    faiss.omp_set_num_threads(1)
    exact = faiss.IndexScalarQuantizer(vectors.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    if len(ids):
        exact.add(vectors)
    np.save(folder / IDS, ids.astype(np.int64))
    _save(exact, folder / EXACT)
    index, fast = None, Fast()
    if len(ids) > policy.exact_up_to:
        stored = exact.reconstruct_n(0, exact.ntotal)  # rounded, as a later seal will read it: it makes the same files
        index, fast = _fast_index(stored, policy, centroids)
    if index is not None:
        _save(index, folder / FAST)
    (folder / FAST_PARAMETERS).write_text(json.dumps(asdict(fast), sort_keys=True))
    return fast


def _ascending(ids: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if len(ids) != len(vectors) or (len(ids) > 1 and (np.diff(ids) > 0).all()):  # a mismatch is told by check_vectors
        return ids, vectors
    order = np.argsort(ids, kind="stable")
    return ids[order], vectors[order]


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
    check_unit(vectors)


def check_unit(vectors: np.ndarray) -> None:
    """Raises StoreError unless every vector is finite and of unit length."""
    squares = np.einsum("ij,ij->i", vectors, vectors)
    if bad := int((~(np.abs(squares - 1) < 2e-2)).sum()):  # NaN is bad too
        raise StoreError(f"{bad} vectors are not finite or not of unit length.", cure="Embed those frames again.")


def _fast_index(vectors: np.ndarray, policy: IndexPolicy, centroids: np.ndarray | None) -> tuple[Any, Fast]:
    """The first candidate that passes the gate; none for a small part, or when only exact is good enough."""
    queries = sample_queries(vectors, policy.gate_queries)
    for index, fast in _candidates(vectors, policy, centroids):
        recall = recall_at_10(vectors, index, fast, queries)
        if recall >= policy.recall_at_10:
            return index, replace(fast, recall_at_10=recall)
    return None, Fast()


def _candidates(vectors: np.ndarray, policy: IndexPolicy, centroids: np.ndarray | None) -> Iterable[tuple[Any, Fast]]:
    import faiss

    n, dim = vectors.shape
    if n > policy.sq8_up_to:
        centroids = train_coarse(vectors, lists_for(n)) if centroids is None else centroids
        ivf = _ivf(vectors, centroids)
        name = hashlib.sha256(np.ascontiguousarray(centroids, np.float32).tobytes()).hexdigest()[:16]
        for nprobe in (8, 16, 32, 64, 128):
            if nprobe <= ivf.nlist:
                yield ivf, Fast("ivf", ivf.nlist, nprobe, name)
    flat = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
    flat.train(training_sample(vectors, 20_000))
    flat.add(vectors)
    yield flat, Fast("sq8")


def _ivf(vectors: np.ndarray, centroids: np.ndarray) -> Any:
    import faiss

    coarse = faiss.IndexFlatIP(centroids.shape[1])
    coarse.add(np.ascontiguousarray(centroids, np.float32))
    ivf = faiss.IndexIVFScalarQuantizer(
        coarse, coarse.d, coarse.ntotal, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT, False
    )
    ivf.train(training_sample(vectors, 20_000))  # the codes' ranges; the coarse quantiser is trained already
    ivf.add(vectors)
    return ivf


def lists_for(vectors: int) -> int:
    """How many inverted lists so many vectors want: FAISS's guideline is 4 to 16 √n."""
    return 1 << int(np.log2(4 * np.sqrt(max(vectors, 1))))


def train_coarse(vectors: np.ndarray, lists: int) -> np.ndarray:
    """`(lists, d)` float32 centroids of a sample of real vectors, spherical; the same vectors give the same centroids."""
    import faiss

    check_unit(vectors)
    lists = max(1, min(lists, len(vectors)))
    clustering = faiss.Kmeans(vectors.shape[1], lists, niter=10, spherical=True, seed=SEED, min_points_per_centroid=1)
    clustering.train(training_sample(vectors, 40 * lists))
    return clustering.centroids


def training_sample(vectors: np.ndarray, size: int) -> np.ndarray:
    """The first rows: they ascend by ids that are hashes, so any stretch of them is a random sample."""
    return vectors[:size]


def sample_queries(vectors: np.ndarray, size: int) -> np.ndarray:
    """`(size, d)` queries for gates and canaries: halfway between two vectors of the part, so that none is its own answer."""
    if not len(vectors) or not size:
        return np.zeros((0, vectors.shape[1]), np.float32)
    pairs = np.random.default_rng(SEED).integers(0, len(vectors), (size, 2))
    mixed = vectors[pairs[:, 0]].astype(np.float32) + vectors[pairs[:, 1]]
    mixed[np.linalg.norm(mixed, axis=1) < 1e-3] += vectors[0]  # two opposite vectors have no middle
    return mixed / np.linalg.norm(mixed, axis=1, keepdims=True)


def recall_at_10(vectors: np.ndarray, index: Any, fast: Fast, queries: np.ndarray) -> float:
    """The share of `index`'s first ten whose exact score reaches the exact tenth; `vectors` (n, d) by row. Ties count as found."""
    k = min(10, len(vectors))
    if not len(queries) or not k:
        return 1.0
    tenths = _tenth_best(vectors, queries, k)
    _, rows = index.search(queries, k, params=parameters(fast, None))
    exact = np.einsum("qkd,qd->qk", vectors[rows], queries)
    return float(((exact >= tenths[:, None] - TIE) & (rows >= 0)).mean())


def _tenth_best(vectors: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """The exact k-th score of each query."""
    best = np.full((len(queries), k), -np.inf, np.float32)
    for start in range(0, len(vectors), 20_000):
        scores = queries @ vectors[start : start + 20_000].T
        best = -np.partition(-np.concatenate([best, scores], axis=1), k - 1, axis=1)[:, :k]
    return best[:, -1]


def parameters(fast: Fast, bitmap: np.ndarray | None) -> Any:
    """FAISS search parameters; the selector keeps a reference to its bitmap."""
    import faiss

    chosen = {} if bitmap is None else {"sel": faiss.IDSelectorBitmap(bitmap)}
    if fast.kind == "ivf":
        return faiss.SearchParametersIVF(nprobe=fast.nprobe, **chosen)
    return faiss.SearchParameters(**chosen) if chosen else None
