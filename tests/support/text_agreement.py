"""Two text engines fed the same documents and asked the same questions: how far do their rankings agree?

Documents and questions come from the collection of confusable captions; more documents are spliced from its lines, so that scores
lie close. Every fifth document also shows text.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from khung.search.clauses import caption_ask, screen_ask
from khung.stores import TextClause, TextIndex
from khung.text import fields
from khung.text.forms import strip_marks

COLLECTION = Path(__file__).parent.parent / "search" / "data" / "captions.tsv"
TOP = 50


def rows() -> list[list[str]]:
    return [line.split("\t") for line in COLLECTION.read_text().splitlines() if line and not line.startswith("#")]


def documents(count: int, seed: int = 0) -> Iterator[tuple[int, dict[str, str]]]:
    """The captions of the collection first, then halves of two each."""
    lines, random = rows(), np.random.default_rng(seed)
    for number in range(count):
        vi, en, _ = lines[number] if number < len(lines) else _spliced(lines, random)
        yield number, fields(vi, en, lines[random.integers(len(lines))][0].upper() if number % 5 == 0 else "")


def _spliced(lines: list[list[str]], random: np.random.Generator) -> list[str]:
    one, two = (lines[n] for n in random.integers(len(lines), size=2))
    return [
        " ".join([*a.split()[: random.integers(2, 9)], *b.split()[-random.integers(1, 8) :]])
        for a, b in zip(one, two, strict=True)
    ]


QUESTIONS: dict[str, Callable[[str, str], list[TextClause]]] = {
    "captions, with marks": lambda vi, en: caption_ask(vi, "vi").clauses,
    "captions, without marks": lambda vi, en: caption_ask(strip_marks(vi), "vi").clauses,
    "captions, English": lambda vi, en: caption_ask(en, "en").clauses,
    "on-screen text": lambda vi, en: screen_ask([vi]).clauses,
}


def agreement(one: TextIndex, other: TextIndex) -> dict[str, dict[str, float]]:
    """kind of question → Spearman's rank correlation over the first engine's best fifty, and the share of its best ten that are
    the other's best ten; means over all questions."""
    found = {}
    for kind, ask in QUESTIONS.items():
        pairs = [_compared(one, other, ask(question, en)) for _, en, question in rows()]
        correlation, overlap = np.mean([p for p in pairs if p], axis=0)
        found[kind] = {"rank_correlation": round(float(correlation), 4), "same_ten": round(float(overlap), 4)}
    return found


def _compared(one: TextIndex, other: TextIndex, clauses: Sequence[TextClause]) -> tuple[float, float] | None:
    """None where there are not two scores to compare."""
    scores, ids = one.best(clauses, limit=TOP)
    theirs = dict(zip(*reversed([a.tolist() for a in other.best(clauses, limit=10 * TOP)]), strict=True))
    if len(ids) < 2 or len(set(scores.tolist())) < 2:
        return None
    second = np.array([theirs.get(i, 0.0) for i in ids.tolist()])
    ten = sorted(theirs, key=lambda i: (-theirs[i], i))[:10]
    return spearman(scores, second), len({*ids[:10].tolist()} & {*ten}) / len(ten)


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """The correlation of ranks, ties at their middle rank."""
    x, y = (_ranks(v) - (len(v) + 1) / 2 for v in (a, b))
    return float((x * y).sum() / max(np.sqrt((x * x).sum() * (y * y).sum()), 1e-12))


def _ranks(values: np.ndarray) -> np.ndarray:
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[which]
