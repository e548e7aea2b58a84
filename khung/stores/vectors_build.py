"""Building one sealed part of vectors: fp16 as the truth, and the cheapest faster kind that passes the recall gate.

How a part is searched is vectors_faiss.py, how the gate measures vectors_recall.py. Kinds by size: exact → flat 8-bit codes →
inverted lists of them over a coarse quantiser that all parts of a shelf share, so that a query is compared with its centroids
once and not once a part. A graph, ten times slower to build, is for parts where few lists find too little.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from khung.errors import StoreError
from khung.stores.vectors_recall import (
    GATE_QUERIES,
    RECALL_GATE,
    SAMPLE,
    SEED,
    Fast,
    blocks,
    parameters,
    recall_at_10,
    sample_queries,
)

__all__ = ["Fast", "IndexPolicy", "check_unit", "parameters", "recall_at_10", "sample_queries", "write_part"]

IDS, EXACT, FAST, FAST_PARAMETERS = "vector_ids.npy", "exact.faiss", "fast.faiss", "fast.json"
_TRAINED_ON = 20_000  # vectors that show the range of codes
_MANY_PROBES = (64, 128)
_LINKS, _WIDTH = 32, 100  # of a vector in a graph; candidates for them while it is built


@dataclass(frozen=True, slots=True)
class IndexPolicy:
    """Which kind of index a part gets. `bench/STORES.md` has the measurements behind the sizes."""

    exact_up_to: int = 20_000
    sq8_up_to: int = 50_000
    lists_from: int = (
        48_000  # frames of a library of many shards: an exact search of them all would be most of a question
    )
    graph_up_to: int = 200_000  # beyond, building a graph takes too long
    probes: tuple[int, ...] = (8, 16, 32)  # lists that are asked, from few on; more of them cost what a graph does
    recall_at_10: float = RECALL_GATE
    gate_queries: int = GATE_QUERIES


def write_part(
    folder: Path, ids: np.ndarray, vectors: np.ndarray, policy: IndexPolicy, *, centroids: np.ndarray | None = None
) -> Fast:
    """Write one part into an empty folder: `ids` int64 (n,), `vectors` (n, d) of unit length, in any order.

    `centroids` (nlist, d): the coarse quantiser of an IVF kind; without, the part trains its own. The cheapest kind whose recall@10
    reaches the policy's gate is kept. Raises StoreError on vectors that no search could use.
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
    index, fast = (None, Fast())
    if len(ids) > policy.exact_up_to or (centroids is not None and len(ids)):
        index, fast = _fast_index(exact, policy, centroids)
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


def _fast_index(exact: Any, policy: IndexPolicy, centroids: np.ndarray | None) -> tuple[Any, Fast]:
    """The first candidate that passes the gate; none when only exact is good enough. Flat codes are judged by a sample here and by
    all rows at every publishing."""
    queries = sample_queries(exact, policy.gate_queries)
    for index, fast in _candidates(exact, policy, centroids):
        recall = recall_at_10(exact, index, fast, queries, rows=SAMPLE if fast.kind == "sq8" else None)
        if recall >= policy.recall_at_10:
            return index, replace(fast, recall_at_10=recall)
    return None, Fast()


def _candidates(exact: Any, policy: IndexPolicy, centroids: np.ndarray | None) -> Iterable[tuple[Any, Fast]]:
    """From the cheapest to ask on. All are made of the rounded vectors, as a later seal will read them: it makes the same files."""
    n = exact.ntotal
    if n > policy.sq8_up_to or centroids is not None:
        centroids = train_coarse(exact.reconstruct_n(0, n), lists_for(n)) if centroids is None else centroids
        ivf = _ivf(exact, centroids)
        name = hashlib.sha256(np.ascontiguousarray(centroids, np.float32).tobytes()).hexdigest()[:16]
        lists = [
            Fast("ivf", ivf.nlist, nprobe, name) for nprobe in (*policy.probes, *_MANY_PROBES) if nprobe <= ivf.nlist
        ]
        yield from ((ivf, fast) for fast in lists if fast.nprobe in policy.probes)
        if n <= policy.graph_up_to:
            graph = _graph(exact)
            yield from ((graph, Fast("hnsw", ef=ef)) for ef in (32, 64, 128, 256))
        yield from ((ivf, fast) for fast in lists if fast.nprobe not in policy.probes)
    yield _flat(exact), Fast("sq8")


def _flat(exact: Any) -> Any:
    import faiss

    return _filled(faiss.IndexScalarQuantizer(exact.d, faiss.ScalarQuantizer.QT_8bit, exact.metric_type), exact)


def _graph(exact: Any) -> Any:
    import faiss

    graph = faiss.IndexHNSWSQ(exact.d, faiss.ScalarQuantizer.QT_8bit, _LINKS, exact.metric_type)
    graph.hnsw.efConstruction = _WIDTH
    return _filled(graph, exact)


def _ivf(exact: Any, centroids: np.ndarray) -> Any:
    import faiss

    coarse = faiss.IndexFlatIP(centroids.shape[1])
    coarse.add(np.ascontiguousarray(centroids, np.float32))
    ivf = faiss.IndexIVFScalarQuantizer(
        coarse, coarse.d, coarse.ntotal, faiss.ScalarQuantizer.QT_8bit, exact.metric_type, False
    )
    return _on_gpu(ivf, exact) if gpus() else _filled(ivf, exact)


def _filled(index: Any, exact: Any) -> Any:
    """`index` with all vectors. The ranges of its codes are those of a sample; a coarse quantiser is trained already."""
    sample = _trained(index, exact)
    index.add(sample)
    for _, block in blocks(exact, len(sample), exact.ntotal):
        index.add(block)
    return index


def _on_gpu(ivf: Any, exact: Any) -> Any:
    """The same on the first GPU, for FAISS built with CUDA; what is written is an index for the processor. Never measured: no
    such machine was at hand. Graphs and flat codes gain nothing there."""
    import faiss

    _trained(ivf, exact)
    resources = faiss.StandardGpuResources()
    there = faiss.index_cpu_to_gpu(resources, 0, ivf)
    for _, block in blocks(exact, 0, exact.ntotal):
        there.add(block)
    return faiss.index_gpu_to_cpu(there)


def _trained(index: Any, exact: Any) -> np.ndarray:
    """The first rows, that `index` was trained on: they ascend by ids that are hashes, so any stretch is a random sample."""
    sample = exact.reconstruct_n(0, min(_TRAINED_ON, exact.ntotal))
    index.train(sample)
    return sample


def gpus() -> int:
    """GPUs that FAISS could build on; the processor's build of FAISS knows none."""
    import faiss

    return faiss.get_num_gpus() if hasattr(faiss, "StandardGpuResources") else 0


def lists_for(vectors: int) -> int:
    """How many inverted lists so many vectors want: FAISS's guideline is 4 to 16 √n."""
    return 1 << int(np.log2(4 * np.sqrt(max(vectors, 1))))


def train_coarse(vectors: np.ndarray, lists: int) -> np.ndarray:
    """`(lists, d)` float32 centroids of a sample of real vectors, spherical; the same vectors give the same centroids."""
    import faiss

    check_unit(vectors)
    lists = max(1, min(lists, len(vectors)))
    clustering = faiss.Kmeans(
        vectors.shape[1], lists, niter=10, spherical=True, seed=SEED, min_points_per_centroid=1, gpu=gpus() > 0
    )
    clustering.train(vectors[: 40 * lists])
    return clustering.centroids
