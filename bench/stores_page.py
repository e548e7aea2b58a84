"""bench/STORES.md out of bench/stores.json: tables from the numbers, and what they mean."""

from collections.abc import Mapping
from typing import Any

Found = Mapping[str, Any]

_HEAD = """# Stores, measured

`make bench-stores` makes this page (`python -m bench stores -- --only seal,many` renews some of it) and `bench/stores.json`. CPU seconds on
one thread for what runs in the process, wall seconds where a server works. Each pair is interleaved; the ratio is the middle one, 1 being
as fast as the bare reference. The machine is shared with other work: read the ratios and the CPU times. Vectors are made: 768 dimensions,
unit length, in clusters of 250.
"""

_SEAL = """
Ours also checks every vector, orders the rows and measures recall. “A second” is the best run and the ratio the middle pair, so the two
columns need not divide to it.
"""

_MANY = """
The exact fp16 vectors (1,536 bytes each) lie beside them on disk, mapped. Of each short answer (up to 100) the exact scores of k + 20
candidates decide: eight bits alone gave recall@10 0.962 here, because in clusters this dense the tenth and the thirtieth score differ by
less than what eight bits lose.
"""

_KINDS = """
With the exact scores deciding, eight bits and 8 lists find what exact search finds, so lists are tried first. A graph costs several times
as much to build, and on clusters as tight as these it may miss the gate, so that many lists or flat codes are kept instead: its links
stay within a cluster. It is made only where 32 lists find too little.
"""

_AGREEMENT = """
tantivy in 16 parts, OpenSearch 2.5 in 2 shards; Spearman's rank correlation over the first engine's best fifty, and how many of the best
ten are the same. `tests/stores/test_text_agreement.py` keeps floors under it.

What differs: both are BM25 over the same words with k1 = 1.2, b = 0.75 and the same one-byte lengths. Lucene counts only documents that
have a field, in a term's weight and in the field's average length; tantivy counts all. For captions, which nearly every frame has, that
changes nothing; on-screen text, which here every fifth has, gets other weights and a stronger favour for short lines. OpenSearch's average
lengths are those of each of its shards.
"""

_END = """
## Killed publishers
`tests/faults/test_publish_killed.py`, a part of `make test`, kills two publishers at a time with SIGKILL until 200 are dead and two readers
have checked every byte of what is in service 100,000 times. It fails for one torn read, or one that goes backward in time.

**Not measured**: building on a GPU (no machine with one and FAISS for CUDA was at hand), OpenSearch's k-NN at size (its contract runs
on a real server), real embeddings.
"""


def page(found: Found) -> str:
    """The whole page; parts that were never measured say so."""
    sections = [
        ("## Writing", _writing, _SEAL),
        ("## A million vectors in sixteen shards over one coarse quantiser", _many, _MANY),
        ("## Which kind of index", _kinds, _KINDS),
        ("## A million captions", _captions, ""),
        ("## The two text engines, asked the same", _agreement, _AGREEMENT),
    ]
    return _HEAD + "".join(f"\n{title}\n{table(found)}\n{words}" for title, table, words in sections) + _END


def _writing(found: Found) -> str:
    rows = []
    for part, key, what, bare, goal in (
        ("seal", "exact", "seal, exact fp16", "FAISS add + write", "0.7 and 15,000/s"),
        ("seal", "sq8", "seal, 8-bit codes beside fp16", "FAISS add + write of both", "0.7 and 15,000/s"),
        ("seal", "hnsw", "seal, a graph beside fp16", "FAISS add + write of both", "graphs state theirs"),
        ("postgres", "", "PostgreSQL, load a shard", "COPY of rows made before", "0.5 and 8,000/s"),
        ("opensearch", "", "OpenSearch, write an index", "the client's bulk helper", "0.7"),
    ):
        pair = found.get(part, {}).get(key, {}) if key else found.get(part, {})
        size = next((f"{pair[name]:,} {name}" for name in ("vectors", "frames", "captions") if name in pair), "")
        numbers = (f"{pair['per_s']:,}", f"{pair['bare_per_s']:,}", pair["ratio"]) if pair else ("not measured", "", "")
        rows.append((f"{what} ({size})", numbers[0], f"{bare}, {numbers[1]}", numbers[2], goal))
    return _table(("what", "a second", "bare reference", "ratio", "goal"), rows) + _when(found, "seal")


def _many(found: Found) -> str:
    m = found.get("many")
    if not m:
        return "Not measured."
    codes, ids = m["bytes_per_vector"]["fast.faiss"], m["bytes_per_vector"]["vector_ids.npy"]
    first = f", the first time {m['first_opened_ms']}" if "first_opened_ms" in m else ""
    rows = [
        ("recall@10", m["recall_at_10"], "0.97"),
        ("CPU a query, p50 / p95", f"{m['cpu_ms_per_query_p50']} / {m['cpu_ms_per_query_p95']} ms", "3 ms"),
        ("bytes a vector: codes, lists, sixteen copies of the centroids; ids", f"{codes} + {ids}", "1,050"),
        ("opened by memory map", f"{m['opened_ms']} ms{first}", "100 ms"),
        ("sealed a CPU second", f"{m['sealed_per_cpu_s']:,}", ""),
    ]
    told = f"{m['vectors']:,} × 768; {', '.join(m['kinds'])}; one query a call, k = 10.\n"
    return told + _table(("", "measured", "goal"), rows) + _when(found, "many")


def _kinds(found: Found) -> str:
    kinds = found.get("kinds")
    if not kinds:
        return "Not measured."
    rows = []
    for name in ("exact", "sq8", "hnsw", "ivf"):
        k = kinds[name]
        cpu = f"{k['cpu_ms_per_query_p50']} / {k['cpu_ms_per_query_p95']} ms"
        rows.append((name, k["is"], f"{k['made_per_cpu_s']:,}", f"{k['bytes_per_vector']:,}", k["recall_at_10"], cpu))
    heads = ("asked for", "kept", "made a CPU second", "bytes a vector", "recall@10", "CPU a query p50 / p95")
    return f"One part of {kinds['vectors']:,}, the same queries.\n" + _table(heads, rows) + _when(found, "kinds")


def _captions(found: Found) -> str:
    t = found.get("text")
    if not t:
        return "Not measured."
    rows = []
    for how in ("with marks", "without marks"):
        wall, cpu = (f"{t[how][f'{c}_ms_p50']} / {t[how][f'{c}_ms_p95']} ms" for c in ("wall", "cpu"))
        rows.append((how, wall, cpu))
    told = (
        f"{t['captions']:,} captions in 16 sealed parts opened as one index ({t['opened_ms']} ms), 17 Vietnamese and 12 English words each; "
        f"questions of two to five words, the best 100. {t['bytes_per_caption']} bytes a caption, {t['written_per_cpu_s']:,} written a CPU "
        "second. Goal: p95 ≤ 30 ms.\n"
    )
    return told + _table(("questions", "wall p50 / p95", "CPU p50 / p95"), rows) + _when(found, "text")


def _agreement(found: Found) -> str:
    kinds = {name: value for name, value in found.get("agreement", {}).items() if isinstance(value, Mapping)}
    rows = [(name, value["rank_correlation"], value["same_ten"]) for name, value in kinds.items()]
    heads = ("questions", "rank correlation", "same of the best ten")
    return _table(heads, rows) + _when(found, "agreement") if rows else "Not measured."


def _table(heads: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n" + "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def _when(found: Found, part: str) -> str:
    return f"\n{found[part]['date']}, {found[part]['machine']}." if part in found else ""
