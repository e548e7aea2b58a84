"""The recall gate: how much of the exact answer an approximate index finds, on questions made from its own vectors.

Which kinds are tried is vectors_build.py. Vectors are read in blocks that fit a processor's cache, so that a gate costs little
beside the writing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

SEED = 20261122
RECALL_GATE = 0.98  # recall@10 against exact, of an approximate index
GATE_QUERIES = 32
TIE = 1e-4  # scores nearer than this are one score: the rounding of fp16 is about 2e-5
MORE = 20  # candidates beyond those asked for, of which the exact scores then decide
SAMPLE = 8_192  # rows that show what 8-bit codes lose: it depends on the codes alone
_BLOCK = 1_024


@dataclass(frozen=True, slots=True)
class Fast:
    """What `fast.faiss` is, and the recall@10 against exact that it was sealed with."""

    kind: str = "none"  # none | sq8 | hnsw | ivf
    nlist: int = 0
    nprobe: int = 0
    coarse: str = ""  # which coarse quantiser: parts with one name share it
    recall_at_10: float = 1.0
    ef: int = 0  # of a graph: how many candidates a search keeps


def parameters(fast: Fast, bitmap: np.ndarray | None) -> Any:
    """FAISS search parameters; the selector keeps a reference to its bitmap."""
    import faiss

    chosen = {} if bitmap is None else {"sel": faiss.IDSelectorBitmap(bitmap)}
    if fast.kind == "ivf":
        return faiss.SearchParametersIVF(nprobe=fast.nprobe, **chosen)
    if fast.kind == "hnsw":
        return faiss.SearchParametersHNSW(efSearch=fast.ef, **chosen)
    return faiss.SearchParameters(**chosen) if chosen else None


def sample_queries(vectors: Any, size: int) -> np.ndarray:
    """`(size, d)` queries for gates and canaries: halfway between two vectors of the part, so that none is its own answer."""
    count = _count(vectors)
    if not count or not size:
        return np.zeros((0, _rows(vectors, np.zeros(0, np.int64)).shape[1]), np.float32)
    pairs = np.random.default_rng(SEED).integers(0, count, (size, 2))
    mixed = _rows(vectors, pairs[:, 0]) + _rows(vectors, pairs[:, 1])
    mixed[np.linalg.norm(mixed, axis=1) < 1e-3] += _rows(vectors, np.zeros(1, np.int64))  # two opposite have no middle
    return mixed / np.linalg.norm(mixed, axis=1, keepdims=True)


def recall_at_10(vectors: Any, index: Any, fast: Fast, queries: np.ndarray, *, rows: int | None = None) -> float:
    """The share of the exact first ten (by score, so ties count as found) among `index`'s candidates, which are ten and some more.

    `vectors`: the truth by row, an array (n, d) or a flat FAISS index. `rows`: compare within the first so many only (8-bit codes).
    """
    count = min(_count(vectors), rows or _count(vectors))
    k = min(10, count)
    if not len(queries) or not k:
        return 1.0
    tenths = best_rows(vectors, queries, k, count)[0][:, -1]
    if fast.kind == "sq8":  # decoded once for all queries: the same scores as its own search, sooner
        found = best_rows(index, queries, min(k + MORE, count), count)[1]
    else:
        found = index.search(queries, min(k + MORE, count), params=parameters(fast, None))[1]
    candidates = _rows(vectors, np.maximum(found, 0).ravel()).reshape(*found.shape, -1)
    exact = np.einsum("qkd,qd->qk", candidates, queries)
    good = ((exact >= tenths[:, None] - TIE) & (found >= 0)).sum(axis=1)
    return float(np.minimum(good, k).mean() / k)


def best_rows(vectors: Any, queries: np.ndarray, k: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """`(scores, rows)` of the k best among the first `count` by inner product, each (len(queries), k), best first."""
    scores, rows = np.full((len(queries), k), -np.inf, np.float32), np.full((len(queries), k), -1, np.int64)
    for start, block in blocks(vectors, 0, count):
        here = queries @ block.T
        top = np.argpartition(-here, k - 1, axis=1)[:, :k] if here.shape[1] > k else np.arange(here.shape[1])[None]
        top = np.broadcast_to(top, (len(queries), top.shape[1]))
        scores = np.concatenate([scores, np.take_along_axis(here, top, 1)], axis=1)
        rows = np.concatenate([rows, top + start], axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        scores, rows = np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)
    return scores, rows


def blocks(vectors: Any, first: int, end: int) -> Iterator[tuple[int, np.ndarray]]:
    """`(first row, float32 rows)` of the rows from `first` to `end`; an index's block is overwritten by the next."""
    starts = range(first, end, _BLOCK)
    if isinstance(vectors, np.ndarray):
        yield from ((start, vectors[start : min(start + _BLOCK, end)]) for start in starts)
        return
    room = np.empty((_BLOCK, vectors.d), np.float32)
    for start in starts:
        count = min(_BLOCK, end - start)
        vectors.reconstruct_n(start, count, room[:count])
        yield start, room[:count]


def _count(vectors: Any) -> int:
    return len(vectors) if isinstance(vectors, np.ndarray) else vectors.ntotal


def _rows(vectors: Any, rows: np.ndarray) -> np.ndarray:
    if isinstance(vectors, np.ndarray):
        return vectors[rows].astype(np.float32)
    return vectors.reconstruct_batch(rows) if len(rows) else np.zeros((0, vectors.d), np.float32)
