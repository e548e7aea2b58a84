"""Vectors: sealing against FAISS alone, the kinds beside each other, and a million in sixteen shards over one coarse quantiser.

Made data: unit vectors around shared centres, a fixed seed a block.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.stores_common import against, folder, kept, milliseconds, spent
from khung.stores.vectors_build import EXACT, FAST, IDS, Fast, IndexPolicy, lists_for, train_coarse, write_part
from khung.stores.vectors_faiss import FaissVectors

DIM, SHARDS, QUERIES = 768, 16, 100
PLAIN = IndexPolicy(exact_up_to=10**9)
SQ8 = IndexPolicy(exact_up_to=0, sq8_up_to=10**9)
GRAPH = IndexPolicy(exact_up_to=0, sq8_up_to=0, probes=(), recall_at_10=0.97)
LISTS = IndexPolicy(exact_up_to=0, sq8_up_to=0, graph_up_to=0, recall_at_10=0.97)


def clustered(count: int, seed: int, centres: np.ndarray) -> np.ndarray:
    """Unit vectors around shared centres, float32."""
    random = np.random.default_rng(seed)
    found = random.standard_normal((count, DIM), np.float32)
    found *= 0.7
    found += centres[random.integers(0, len(centres), count)]
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found


def make_centres(count: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, DIM)).astype(np.float32)


def seal(count: int) -> dict[str, dict]:
    """Writing one part against FAISS's own add and write of the same kinds: a part holds fp16 always, 8-bit codes beside it.
    Ours also checks every vector, orders the rows and measures recall."""
    import faiss

    vectors, ids = clustered(count, 0, make_centres(400)), np.arange(count)
    fp16, bits8 = faiss.ScalarQuantizer.QT_fp16, faiss.ScalarQuantizer.QT_8bit

    def flat(bits: int) -> object:
        return faiss.IndexScalarQuantizer(DIM, bits, faiss.METRIC_INNER_PRODUCT)

    def graph() -> object:
        return faiss.IndexHNSWSQ(DIM, bits8, 32, faiss.METRIC_INNER_PRODUCT)

    kinds = {
        "exact": (PLAIN, [lambda: flat(fp16)], count, 5),
        "sq8": (SQ8, [lambda: flat(fp16), lambda: flat(bits8)], count, 5),
        "hnsw": (GRAPH, [lambda: flat(fp16), graph], count // 6, 1),  # minutes each
    }
    found = {}
    for name, (policy, makers, size, pairs) in kinds.items():

        def bare(makers: list = makers, size: int = size) -> None:
            with folder() as out:
                faiss.omp_set_num_threads(1)
                for number, make in enumerate(makers):
                    index = make()
                    index.train(vectors[:20_000])
                    index.add(vectors[:size])
                    faiss.write_index(index, str(out / str(number)))

        def ours(policy: IndexPolicy = policy, size: int = size) -> None:
            with folder() as out:
                write_part(out, ids[:size], vectors[:size], policy)

        found[name] = {"vectors": size} | against(ours, bare, size, time.process_time, pairs)
    return found


def kinds(count: int) -> dict:
    """One part of each kind: what it costs to make, to keep and to ask, and what it finds."""
    centres = make_centres(max(400, count // 250))
    vectors, ids, queries = clustered(count, 0, centres), np.arange(count), clustered(QUERIES, 999, centres)
    truth = ids[np.argsort(-(queries @ vectors.T), axis=1)[:, :10]]
    found: dict[str, object] = {"vectors": count}
    for name, policy in {"exact": PLAIN, "sq8": SQ8, "hnsw": GRAPH, "ivf": LISTS}.items():
        with folder() as out:
            made_s = spent(lambda p=policy, o=out: write_part(o, ids, vectors, p))
            index = FaissVectors([out], DIM)
            size = (out / (FAST if name != "exact" else EXACT)).stat().st_size + (out / IDS).stat().st_size
            found[name] = {
                "is": _told(index.kinds[0]), "made_per_cpu_s": round(count / made_s), "bytes_per_vector": round(size / count)
            } | asked(index, queries, truth)  # fmt: skip
    return found


def _told(fast: Fast) -> str:
    more = {"ivf": f", {fast.nlist} lists, {fast.nprobe} asked", "hnsw": f", {fast.ef} candidates"}
    return fast.kind + more.get(fast.kind, "")


def asked(index: FaissVectors, queries: np.ndarray, truth: np.ndarray) -> dict:
    """Once untimed, so that what is mapped is in memory, then three times."""
    cpu = [spent(lambda q=q: index.search(q[None], 10)) for _ in range(4) for q in queries][len(queries) :]
    _, ids = index.search(queries, 10)
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(ids.tolist(), truth.tolist(), strict=True)])
    return {"recall_at_10": round(float(recall), 4)} | milliseconds(cpu, "cpu_ms_per_query")


def many(total: int) -> dict:
    """`total` vectors in sixteen shards over one coarse quantiser: recall, CPU a query, bytes, time to open."""
    centres = make_centres(max(400, total // 250))
    queries = clustered(QUERIES, 999, centres)
    home = kept(f"vectors-{total}", lambda path: _write_shards(path, total, centres, queries))
    folders = [home / str(shard) for shard in range(SHARDS)]
    opened_ms = [spent(lambda: FaissVectors(folders, DIM), time.perf_counter) * 1e3 for _ in range(4)]
    index = FaissVectors(folders, DIM)
    sealed_s = float(np.load(home / "sealed_s.npy"))
    size = {name: round(sum((f / name).stat().st_size for f in folders) / total) for name in (FAST, EXACT, IDS)}
    return {
        "vectors": total, "first_opened_ms": round(opened_ms[0], 1), "opened_ms": round(min(opened_ms), 1), "bytes_per_vector": size,
        "sealed_per_cpu_s": round(total / sealed_s), "kinds": sorted({_told(kind) for kind in index.kinds}),
    } | asked(index, queries, np.load(home / "truth.npy"))  # fmt: skip


def _write_shards(home: Path, total: int, centres: np.ndarray, queries: np.ndarray) -> None:
    """Block by block: memory holds one shard. The truth comes by comparing every vector with every query."""
    coarse = train_coarse(next(_blocks(total, centres))[1], lists_for(total))
    best = [(np.full((QUERIES, 10), -np.inf, np.float32), np.zeros((QUERIES, 10), np.int64))]
    sealed_s = 0.0
    for shard, (ids, vectors) in enumerate(_blocks(total, centres)):
        out = home / str(shard)
        out.mkdir()
        sealed_s += spent(lambda o=out, i=ids, v=vectors: write_part(o, i, v, LISTS, centroids=coarse))
        scores = queries @ vectors.T
        top = np.argpartition(-scores, 10, axis=1)[:, :10]
        best.append((np.take_along_axis(scores, top, 1), ids[top]))
    scores, ids = (np.concatenate([b[i] for b in best], axis=1) for i in (0, 1))
    np.save(home / "truth.npy", np.take_along_axis(ids, np.argsort(-scores, axis=1)[:, :10], 1))
    np.save(home / "sealed_s.npy", sealed_s)


def _blocks(total: int, centres: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    each = total // SHARDS
    for shard in range(SHARDS):
        yield np.arange(each) * SHARDS + shard, clustered(each, shard, centres)
