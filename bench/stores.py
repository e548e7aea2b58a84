"""Stores against a bare reference in the same run: sealing, loading, bulk writing, and a million vectors in sixteen shards.

    python bench/stores.py [--vectors 1000000] [--frames 20000] [--services] [--json bench/stores.json]

CPU seconds for what runs in this process (one thread), wall seconds where a server does the work; each pair is interleaved
three times and the middle ratio kept. bench/STORES.md has the last results and the machine that they come from.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

import numpy as np

from khung.stores import records_postgres, tables
from khung.stores.vectors_build import IndexPolicy, lists_for, train_coarse, write_part
from khung.stores.vectors_faiss import FaissVectors

DIM = 768
SHARDS = 16
PLAIN = IndexPolicy(exact_up_to=10**9)
SQ8 = IndexPolicy(exact_up_to=0, sq8_up_to=10**9)
LISTS = IndexPolicy(exact_up_to=0, sq8_up_to=0, recall_at_10=0.97)


@contextmanager
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="khung-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def clustered(count: int, seed: int, centres: np.ndarray) -> np.ndarray:
    """Unit vectors around shared centres, float32."""
    random = np.random.default_rng(seed)
    found = centres[random.integers(0, len(centres), count)] + random.normal(size=(count, DIM)).astype(np.float32) * 0.7
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def make_centres(count: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, DIM)).astype(np.float32)


def spent(work: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    begun = clock()
    work()
    return clock() - begun


def against(ours: Callable[[], object], bare: Callable[[], object], count: int, clock: Callable[[], float]) -> dict:
    """Items a second of both, and bare/ours time: 1 is as fast as bare."""
    pairs = [(spent(bare, clock), spent(ours, clock)) for _ in range(3)]
    ratio = statistics.median(b / o for b, o in pairs)
    return {
        "per_s": round(count / min(o for _, o in pairs)),
        "bare_per_s": round(count / min(b for b, _ in pairs)),
        "ratio": round(ratio, 2),
    }


# -- vectors


def seal_vectors(count: int) -> dict[str, dict]:
    """Writing one part against FAISS's own add and write of the same kinds: a part holds fp16 always, 8-bit codes beside it.
    Ours also checks every vector, orders the rows and measures recall."""
    import faiss

    vectors, ids = clustered(count, 0, make_centres(400)), np.arange(count)
    fp16, bits8 = faiss.ScalarQuantizer.QT_fp16, faiss.ScalarQuantizer.QT_8bit
    kinds = {"exact": (PLAIN, [fp16]), "sq8": (SQ8, [fp16, bits8])}
    found = {}
    for name, (policy, quantizers) in kinds.items():

        def bare(quantizers: list[int] = quantizers) -> None:
            with folder() as out:
                faiss.omp_set_num_threads(1)
                for number, quantizer in enumerate(quantizers):
                    index = faiss.IndexScalarQuantizer(DIM, quantizer, faiss.METRIC_INNER_PRODUCT)
                    index.train(vectors[:20_000])
                    index.add(vectors)
                    faiss.write_index(index, str(out / str(number)))

        def ours(policy: IndexPolicy = policy) -> None:
            with folder() as out:
                write_part(out, ids, vectors, policy)

        found[name] = against(ours, bare, count, time.process_time)
    return found


def search_many(total: int) -> dict:
    """`total` vectors in sixteen shards over one coarse quantiser: recall, CPU a query, bytes, time to open."""
    each, centres = total // SHARDS, make_centres(max(400, total // 250))
    queries = clustered(100, 999, centres)
    best = [(np.full((100, 10), -np.inf, np.float32), np.zeros((100, 10), np.int64))]
    with folder() as out:
        coarse = train_coarse(clustered(each, 0, centres), lists_for(total))
        sealed_s = 0.0
        for shard in range(SHARDS):
            vectors, ids = clustered(each, shard, centres), np.arange(each) * SHARDS + shard
            (out / str(shard)).mkdir()
            begun = time.process_time()
            write_part(out / str(shard), ids, vectors, LISTS, centroids=coarse)
            sealed_s += time.process_time() - begun
            best.append(top_ten(queries, vectors, ids))
        truth = merged(best)
        folders = [out / str(shard) for shard in range(SHARDS)]
        begun = time.perf_counter()
        index = FaissVectors(folders, DIM)
        opened_ms = (time.perf_counter() - begun) * 1e3
        index.search(queries[:5], 10)
        cpu_ms = [spent(lambda q=q: index.search(q[None], 10)) * 1e3 for q in queries for _ in range(3)]
        _, found = index.search(queries, 10)
        recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, truth, strict=True)])
        size = {name: sum((f / name).stat().st_size for f in folders if (f / name).exists()) / total
                for name in ("fast.faiss", "exact.faiss", "vector_ids.npy")}  # fmt: skip
        return {
            "vectors": total, "recall_at_10": round(float(recall), 4), "cpu_ms_per_query_p50": round(statistics.median(cpu_ms), 3),
            "cpu_ms_per_query_p95": round(float(np.quantile(cpu_ms, 0.95)), 3), "opened_ms": round(opened_ms, 1),
            "bytes_per_vector": {name: round(value) for name, value in size.items()}, "sealed_per_cpu_s": round(total / sealed_s),
            "kinds": sorted({f"{k.kind} nlist={k.nlist} nprobe={k.nprobe}" for k in index.kinds}),
        }  # fmt: skip


def top_ten(queries: np.ndarray, vectors: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores = queries @ vectors.T
    best = np.argpartition(-scores, 10, axis=1)[:, :10]
    return np.take_along_axis(scores, best, 1), ids[best]


def merged(parts: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    scores, ids = (np.concatenate([p[i] for p in parts], axis=1) for i in (0, 1))
    return np.take_along_axis(ids, np.argsort(-scores, axis=1)[:, :10], 1)


# -- servers


def load_postgres(count: int) -> dict:
    """Loading a shard's records against a bare COPY of the same rows, made before."""
    import servers
    from sample_frames import make_records, make_shots, make_video

    from khung.stores.postgres import Postgres

    server = servers.postgres()
    try:
        database = Postgres(server.url)
        names = [f"v{n:04d}" for n in range(count // 200)]
        videos, shots = [make_video(n, 200) for n in names], [s for n in names for s in make_shots(n, 200)]
        records = [r for n in names for r in make_records(n, 200)]
        rows = [records_postgres._frame("bare", r) for r in records]
        turn = iter(range(100))

        def bare() -> None:
            with database._pool.connection() as db:
                db.execute("CREATE TABLE IF NOT EXISTS bare (LIKE frames INCLUDING ALL)")
                db.execute("TRUNCATE bare")
                with (
                    db.cursor() as cursor,
                    cursor.copy(records_postgres._COPY.replace("COPY frames", "COPY bare")) as copy,
                ):
                    for row in rows:
                        copy.write_row(row)

        def ours() -> None:
            records_postgres.load_part(database, f"s{next(turn)}", videos, shots, records)

        found = against(ours, bare, len(records), time.perf_counter)
        database.close()
        return found
    finally:
        server.close()


def write_opensearch(count: int) -> dict:
    """Writing an index against the client's bulk helper alone, with the same mapping."""
    import servers
    from opensearchpy.helpers import bulk

    from khung.stores.text_opensearch import _definition, connect, delete_index, write_index
    from khung.text.fields import fields

    server = servers.opensearch()
    try:
        client = connect(server.url, timeout_s=120)
        words = [
            "người",
            "đàn",
            "ông",
            "áo",
            "đỏ",
            "đi",
            "bộ",
            "phố",
            "xe",
            "máy",
            "cầu",
            "chợ",
            "hoa",
            "biển",
            "trẻ",
            "em",
        ]
        random = np.random.default_rng(0)
        documents = [
            (i, fields(" ".join(random.choice(words, 14)), "a man walks on the street", "")) for i in range(count)
        ]

        def bare() -> None:
            delete_index(client, "bare")
            client.indices.create(index="bare", body=_definition(1, 0))
            bulk(
                client,
                ({"_id": str(i), "_source": {"vector_id": i, **w}} for i, w in documents),
                index="bare",
                chunk_size=1000,
            )
            client.indices.refresh(index="bare")

        def ours() -> None:
            delete_index(client, "ours")
            write_index(client, "ours", documents)

        bare()
        return against(ours, bare, count, time.perf_counter)
    finally:
        server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--services", action="store_true")
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "stores.json")
    chosen = parser.parse_args()
    found = {
        "machine": {
            "cpu": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load": os.getloadavg()[0],
        },
        "seal": seal_vectors(min(60_000, chosen.vectors)),
        "many": search_many(chosen.vectors),
    }
    if chosen.services:
        found["postgres"] = load_postgres(chosen.frames)
        found["opensearch"] = write_opensearch(chosen.frames)
    chosen.json.write_bytes(tables.to_json(found) + b"\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
