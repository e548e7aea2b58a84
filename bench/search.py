"""The search engine, measured: reading questions, ranking Vietnamese text, chaining events, whole searches.

`python -m bench search` makes bench/SEARCH.md from bench/search.json, which keeps the latest of each section; `-- --frames 1000000` takes a
larger library (built once, minutes; from then on whole searches are measured over it, too), `--only` some sections.
Every section has its reference in the same run. CPU times are the ones to compare: machines share their clocks.
"""

import argparse
import contextlib
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import numpy as np

from bench.search_data import OUT, BenchEncoder, Library, is_built, open_library, rows
from bench.search_opensearch import against_opensearch
from khung.errors import QueryError
from khung.search.clauses import caption_ask
from khung.search.engine import Engine, SearchRequest
from khung.search.evaluation import mean, tied_reciprocal_rank
from khung.search.parsed import Gap
from khung.search.query import parse
from khung.search.sequence import chains
from khung.stores import TextClause
from khung.stores.text_tantivy import TantivyText, write_part
from khung.text import fields, fold, key, marked, tokens
from khung.text.forms import strip_marks

PAGE = Path(__file__).parent / "SEARCH.md"
RESULTS = Path(__file__).parent / "search.json"
LARGE = 1_000_000  # frames of the library that takes long to build, measured once it is there
GOLDEN = Path(__file__).parent.parent / "tests" / "search" / "data" / "golden.txt"


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--frames", type=int, default=100_000)
    options.add_argument("--only", default="", help="reading, ranking, sequences, searches, opensearch; commas between")
    chosen = options.parse_args()
    frames, only = chosen.frames, chosen.only.split(",") if chosen.only else []

    def opensearch() -> list[dict]:
        with tempfile.TemporaryDirectory() as folder:
            return against_opensearch(open_library(frames), Path(folder), frames)

    sections: dict[str, tuple[str, Callable[[], list[dict]]]] = {
        "reading": ("Reading a question", reading),
        "ranking": ("Ranking Vietnamese text", ranking),
        "sequences": ("A then B", sequences),
        "searches": (f"Whole searches over {frames:,} frames", lambda: searches(open_library(frames))),
        "opensearch": (f"Text alone over {frames:,} captions, against OpenSearch in the same run", opensearch),
    }
    if is_built(LARGE) and frames != LARGE:
        sections["large"] = (f"Whole searches over {LARGE:,} frames", lambda: searches(open_library(LARGE)))
    made = {
        title: {"of": _machine(), "rows": make()}
        for name, (title, make) in sections.items()
        if not only or name in only or (name == "large" and "searches" in only)
    }
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    OUT.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(known | made, indent=1, ensure_ascii=False))
    PAGE.write_text(page(known | made))
    print(page(made))


def _machine() -> str:
    cores, load = os.cpu_count(), os.getloadavg()[0]
    return f"{date.today()}, {platform.machine()}, {cores} cores, load {load:.1f}, Python {platform.python_version()}"


# -- sections: title → rows of a table


def reading() -> list[dict]:
    """Reference: asking the engine's tokenizer alone, which reads nothing."""
    questions = [line[1:].strip() for line in GOLDEN.read_text().splitlines() if line.startswith("?")]
    long = [" ".join(questions[n : n + 12])[:990] for n in range(0, 240, 12)]
    return [
        {"what": "parse, golden questions"} | timed([lambda q=q: parse(q) for q in questions], repeat=5),
        {"what": "parse, 990 characters"} | timed([lambda q=q: _refusing(q) for q in long], repeat=5),
        {"what": "reference: splitting into words"} | timed([lambda q=q: tokens(q) for q in questions], repeat=5),
    ]


def _refusing(text: str) -> None:
    with contextlib.suppress(QueryError):
        parse(text)


def ranking() -> list[dict]:
    """MRR of the query policy against what is usually advised, over the test collection of confusable captions."""
    policies: dict[str, Callable[[str], list[TextClause]]] = {
        "khung: key and fold by the question's marks, shingles": lambda q: caption_ask(q, "vi").clauses,
        "key^2 + fold, always (the usual advice)": lambda q: [
            c for w in tokens(q) for c in (TextClause("vi_key", key(w), 2.0), TextClause("vi_fold", fold(w), 1.0))
        ],
        "fold only": lambda q: [TextClause("vi_fold", fold(w)) for w in tokens(q)],
        "key only": lambda q: [TextClause("vi_key", key(w)) for w in tokens(q)],
    }
    data = rows()
    ways = {"with marks": lambda q: q, "without marks": strip_marks}
    with tempfile.TemporaryDirectory() as folder:
        write_part(Path(folder), [(n, fields(vi, en, "")) for n, (vi, en, _) in enumerate(data)])
        index = TantivyText([Path(folder)])
        table = [
            {"policy": name} | {way: round(_mrr(index, clauses, change, data), 3) for way, change in ways.items()}
            for name, clauses in policies.items()
        ]
        for row, clauses in zip(table, policies.values(), strict=True):
            row["one confusable word, with marks"] = round(_single(index, clauses, data), 3)
    return table


def _mrr(index: TantivyText, clauses: Callable, change: Callable[[str], str], data: list[list[str]]) -> float:
    return mean([_rank(index, clauses(change(q)), n, len(data)) for n, (_, _, q) in enumerate(data)])


def _rank(index: TantivyText, clauses: list[TextClause], wanted: int, limit: int) -> float:
    scores, ids = index.best(clauses, limit=limit)
    return tied_reciprocal_rank(dict(zip(map(str, ids.tolist()), scores.tolist(), strict=True)), str(wanted))


def _single(index: TantivyText, clauses: Callable, data: list[list[str]]) -> float:
    """Words that stand in one caption only, though their fold stands in several."""
    keys = [{key(w) for w in tokens(vi)} for vi, _, _ in data]
    words = [(n, w) for n, (vi, _, _) in enumerate(data) for w in tokens(vi) if marked(w)]
    alone = [(n, w) for n, w in words if sum(key(w) in k for k in keys) == 1]
    return mean([_rank(index, clauses(w), n, len(data)) for n, w in alone])


def sequences() -> list[dict]:
    """Reference: for each second event a scan back over its window, in numpy."""
    table = []
    for frames, scored in ((100_000, 100_000), (1_000_000, 10_000), (1_000_000, 1_000_000)):
        rng = np.random.default_rng(1)
        pts, video = (
            np.tile(np.arange(250, dtype=np.int32) * 2000, frames // 250),
            np.repeat(np.arange(frames // 250, dtype=np.int32), 250),
        )
        for events in (2, 3, 4):
            places = [np.sort(rng.choice(frames, scored, replace=False)) for _ in range(events)]
            found = [(p, rng.random(scored, np.float32)) for p in places]
            gaps = [Gap(0, 20_000)] * (events - 1)
            chains([(p[:9], s[:9]) for p, s in found], pts, video, gaps)  # compiled
            told = {"what": f"{events} events over {frames:,} frames, {scored:,} found for each"}
            table.append(told | timed([lambda f=found, g=gaps, p=pts, v=video: chains(f, p, v, g)], repeat=5))
        if frames == scored:
            told = {"what": f"reference: 2 events over {frames:,} frames, window scanned in numpy, no chain"}
            two = np.stack([s for _, s in found[:2]])
            table.append(told | timed([lambda s=two, p=pts: _scan(s, p)], repeat=2))
    return table


def _scan(scores: np.ndarray, pts: np.ndarray) -> np.ndarray:
    """Two events at most 20 s apart, frames 2 s apart: the ten frames before each."""
    by_video = scores.reshape(2, -1, 250)
    best = np.full(by_video.shape[1:], -np.inf, np.float32)
    for back in range(1, 11):
        best[:, back:] = np.maximum(best[:, back:], by_video[0, :, :-back] - np.float32(0.05 / 180_000 * 2000 * back))
    return (best + by_video[1]) / 2


def searches(library: Library) -> list[dict]:
    """Reference: the two stores alone, one call each, no parsing, fusion, collapsing, facets or records."""
    encoder = BenchEncoder()
    engine = Engine(library, encoder)
    engine.warm()
    questions = [r[2] for r in rows()]
    bare = [strip_marks(q) for q in questions]
    ask = lambda q, **more: lambda: engine.search(SearchRequest(q, **more))  # noqa: E731
    stores = [lambda q=q: _stores(library, encoder, q) for q in questions]
    for warm in [ask(q) for q in questions[:20]] + [
        ask(f"{a} rồi {b}") for a, b in zip(questions[:2], questions[2:4], strict=True)
    ]:
        warm()
    first = {"what": "the first questions, while what frequent words give is fetched"} | timed(
        [ask(q) for q in questions]
    )
    for question in bare:
        ask(question)()
    kinds: dict[str, list[Callable]] = {
        "text with marks, 50 hits": [ask(q) for q in questions],
        "text without marks, 50 hits": [ask(q) for q in bare],
        "text, 20 hits, no facet counts": [ask(q, limit=20, facets=False) for q in questions],
        "filtered by object and time": [ask(f"{q} obj:car after:2:00") for q in questions],
        "A rồi B": [ask(f"{a} rồi {b}") for a, b in zip(questions[:40], questions[40:80], strict=True)],
        "more like a frame": [ask("", like=f"V{n:05}/{50 * n}") for n in range(100)],
        "reference: the stores alone, 500 hits each": stores,
    }
    table = [first, *({"what": name} | timed(calls) for name, calls in kinds.items())]
    two = {
        f"{name} from 2 threads": kinds[name] * 2
        for name in ("text with marks, 50 hits", "text, 20 hits, no facet counts")
    }
    return table + [{"what": name} | throughput(calls, 2) for name, calls in two.items()]


def _stores(library: Library, encoder: BenchEncoder, question: str) -> None:
    library.text.best(caption_ask(question, "vi").clauses, limit=500)
    library.vectors.search(encoder.embed_texts([question]), 500)


# -- measuring


def timed(calls: Sequence[Callable], repeat: int = 1) -> dict[str, object]:
    """CPU per call and wall times, in ms."""
    walls, cpu = [], time.process_time()
    for call in list(calls) * repeat:
        began = time.perf_counter()
        call()
        walls.append(1000 * (time.perf_counter() - began))
    cpu = 1000 * (time.process_time() - cpu) / len(walls)
    p50, p95, p99 = np.percentile(walls, [50, 95, 99])
    return {"cpu ms": _short(cpu), "p50 ms": _short(p50), "p95 ms": _short(p95), "p99 ms": _short(p99), "n": len(walls)}


def throughput(calls: Sequence[Callable], threads: int) -> dict[str, object]:
    began, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda call: call(), calls))
    wall = time.perf_counter() - began
    cpu = 1000 * (time.process_time() - cpu) / len(calls)
    return {"cpu ms": _short(cpu), "per second": round(len(calls) / wall), "n": len(calls)}


def _short(ms: float) -> float:
    return float(f"{ms:.3g}")


def page(sections: Mapping[str, Mapping]) -> str:
    lines = [
        "# Search, measured",
        "",
        "`python -m bench search` makes this page. CPU times are the ones to compare; wall times are of a machine that may do other",
        "work. The query encoder is left out: it is the model's, not the engine's.",
    ]
    for title, section in sections.items():
        columns = list(dict.fromkeys(name for row in section["rows"] for name in row))
        lines += ["", f"## {title}", "", section["of"], "", f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
        lines += [f"| {' | '.join(str(row.get(c, '')) for c in columns)} |" for row in section["rows"]]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
