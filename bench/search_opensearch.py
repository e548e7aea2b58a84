"""The text path against OpenSearch: the same captions, the same clauses, the same number of hits, in one run, questions in turn.

A real server with one shard in one segment, as khung writes it; what it takes is measured from outside (wall) and by the CPU time of
its process and of the client together.
"""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import psutil

from bench.search_data import Library, rows
from khung.records import vector_id
from khung.search.clauses import caption_ask
from khung.stores import TextIndex, text_tantivy
from khung.stores.opensearch_index import connect, write_index
from khung.stores.text_opensearch import OpenSearchText
from khung.text import fields

sys.path.append(str(Path(__file__).parent.parent / "tests" / "support"))
HITS = (50, 500)
NAME = "bench-captions"


def against_opensearch(library: Library, folder: Path, frames: int) -> list[dict]:
    """The captions of the first `frames` frames of the library in both engines."""
    import servers

    documents = list(_documents(library, frames))
    server = servers.opensearch("-Xms2g -Xmx2g")
    try:
        client = connect(server.url, timeout_s=120)
        write_index(client, NAME, documents)
        (folder / "tantivy").mkdir()
        text_tantivy.write_part(folder / "tantivy", documents)
        process = psutil.Process(server.process.pid)
        ours, theirs = text_tantivy.TantivyText([folder / "tantivy"]), OpenSearchText(client, NAME)
        return [row for hits in HITS for row in _compared(ours, theirs, hits, process)]
    finally:
        server.stop()


def _documents(library: Library, frames: int):
    for start in range(0, frames, 1_000):
        for record in library.records.at(range(start, min(start + 1_000, frames))):
            shown = " ".join(line.text for line in record.screen_text)
            captions = record.description.captions
            yield vector_id(record.frame_id), fields(captions["vi"], captions["en"], shown)


def _compared(ours: TextIndex, theirs: TextIndex, hits: int, process: psutil.Process) -> list[dict]:
    asks = [caption_ask(row[2], "vi").clauses for row in rows()]
    for clauses in asks[:60]:  # the server's JIT compiles what it is asked often
        for index in (ours, theirs):
            index.best(clauses, limit=hits)
    walls: dict[str, list[float]] = {"khung": [], "OpenSearch": []}
    cpu = {"khung": 0.0, "OpenSearch": 0.0}
    for clauses in asks:
        for name, index in (("khung", ours), ("OpenSearch", theirs)):
            spent, wall = _spent(lambda index=index, clauses=clauses: index.best(clauses, limit=hits), process)
            walls[name].append(wall)
            cpu[name] += spent
    p50 = {name: float(np.percentile(w, 50)) for name, w in walls.items()}
    told = [_row(name, hits, walls[name], cpu[name] / len(asks)) for name in walls]
    told[0]["times as fast (p50)"] = round(p50["OpenSearch"] / p50["khung"], 1)
    return told


def _spent(call: Callable[[], object], process: psutil.Process) -> tuple[float, float]:
    """CPU of this process and the server's, and wall, in ms."""

    def cpu() -> float:
        times = process.cpu_times()
        return time.process_time() + times.user + times.system

    before, began = cpu(), time.perf_counter()
    call()
    wall = time.perf_counter() - began
    return 1000 * (cpu() - before), 1000 * wall


def _row(name: str, hits: int, walls: Sequence[float], cpu: float) -> dict:
    p50, p95, p99 = (float(f"{p:.3g}") for p in np.percentile(walls, [50, 95, 99]))
    return {
        "what": f"{name}, {hits} hits",
        "cpu ms": float(f"{cpu:.3g}"),
        "p50 ms": p50,
        "p95 ms": p95,
        "p99 ms": p99,
        "n": len(walls),
    }
