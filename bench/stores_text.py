"""A million captions in sixteen sealed parts: asking them with the query policy, one question at a time on one thread.

Captions are drawn with Zipf's weights from the words of the test collection; every fifth shows text.
"""

import time
from multiprocessing import Pool
from pathlib import Path

import numpy as np

from bench.stores_common import kept, milliseconds, spent
from khung.search.clauses import caption_ask
from khung.stores.text_tantivy import TantivyText, write_part
from khung.text import fields, tokens
from khung.text.forms import strip_marks

PARTS, PROCESSES, QUESTIONS, LIMIT = 16, 2, 300, 100
_SECONDS = "seconds.npy"


def many(total: int) -> dict:
    with Pool(PROCESSES) as pool:
        folders = pool.starmap(_part, [(part, total) for part in range(PARTS)])
    begun = time.perf_counter()
    index = TantivyText(folders)
    opened_ms = (time.perf_counter() - begun) * 1e3
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    written_s = sum(float(np.load(folder / _SECONDS)) for folder in folders)
    return {
        "captions": len(index), "opened_ms": round(opened_ms, 1), "written_per_cpu_s": round(total / written_s),
        "bytes_per_caption": round(sum(path.stat().st_size for path in files) / total),
        "with marks": _asked(index, lambda q: q), "without marks": _asked(index, strip_marks),
    }  # fmt: skip


def _asked(index: TantivyText, change) -> dict:
    wall, cpu = [], []
    for question in _questions():
        clauses = caption_ask(change(question), "vi").clauses
        begun, spent = time.perf_counter(), time.process_time()
        index.best(clauses, limit=LIMIT)
        wall.append(time.perf_counter() - begun)
        cpu.append(time.process_time() - spent)
    return milliseconds(wall, "wall_ms") | milliseconds(cpu, "cpu_ms")


def _questions() -> list[str]:
    """Two to five words, as often as they stand in captions."""
    random = np.random.default_rng(999)
    vi, weights = _words(0)
    return [" ".join(random.choice(vi, random.integers(2, 6), p=weights)) for _ in range(QUESTIONS)]


def _part(part: int, total: int) -> Path:
    """One part, kept by itself: what was broken off goes on where it stopped."""
    return kept(f"text-{total}-{part}", lambda home: _write(home, part, total // PARTS))


def _write(home: Path, part: int, count: int) -> None:
    random = np.random.default_rng(part)
    (vi, vi_p), (en, en_p) = _words(0), _words(1)
    said = random.choice(vi, (count, 17), p=vi_p)
    english = random.choice(en, (count, 12), p=en_p)
    texts = [(" ".join(a), " ".join(b), " ".join(a[:3]).upper()) for a, b in zip(said, english, strict=True)]

    def write() -> None:
        documents = (
            (n * PARTS + part, fields(a, b, shown if n % 5 == 0 else "")) for n, (a, b, shown) in enumerate(texts)
        )
        write_part(home, documents)

    np.save(home / _SECONDS, spent(write))


def _words(column: int) -> tuple[list[str], np.ndarray]:
    from text_agreement import rows

    words = sorted({w for row in rows() for w in tokens(row[column])})
    random = np.random.default_rng(column)
    weights = 1 / np.arange(2, len(words) + 2) ** 0.8
    return [words[n] for n in random.permutation(len(words))], weights / weights.sum()
