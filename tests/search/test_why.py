"""Which words were found: a warm index says of itself what otherwise is read from the records, on captions, screens and sequences."""

from pathlib import Path

import pytest

from khung.search import clauses
from khung.search.engine import Engine, SearchRequest
from khung.text.forms import strip_marks
from tests.search.conftest import Frame, LittleSnapshot, WordEmbedder, build
from tests.search.test_captions import ROWS

TEXTS = [vi for vi, _, _ in ROWS[::12]]
QUESTIONS = [
    *TEXTS,
    *map(strip_marks, TEXTS),
    *(en for _, en, _ in ROWS[::25]),
    f"{TEXTS[0]} rồi {TEXTS[1]}",
    '"pho"',
    "zzz",
]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> LittleSnapshot:
    frames = [
        Frame(f"v{n % 4}", 10.0 * (n // 4 + 1), vi, en, shown=vi.upper() if n % 3 == 0 else "PHỞ 24")
        for n, (vi, en, _) in enumerate(ROWS)
    ]
    return build(Path(tmp_path_factory.mktemp("library")), frames)


def told(engine: Engine, question: str) -> list[tuple]:
    hits = engine.search(SearchRequest(question, limit=100)).hits
    return [
        (h.record.frame_id, *((name, c.why) for name, c in one.channels.items())) for h in hits for one in (h, *h.chain)
    ]


def test_the_index_and_the_records_say_the_same(library: LittleSnapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clauses, "_FEW", 0)
    engine, asked = Engine(library, WordEmbedder()), []
    before = [told(engine, question) for question in QUESTIONS]
    engine.warm()
    holding = library.text.holding
    monkeypatch.setattr(library.text, "holding", lambda *of: asked.append(holding(*of)) or asked[-1])
    for _ in range(5):  # words are fetched
        after = [told(engine, question) for question in QUESTIONS]
    assert after == before
    assert any(why for hits in after for hit in hits for name, why in hit[1:] if name == "text")
    assert all(held is not None for held in asked[-len(QUESTIONS) :]), "and it was the index that said it"
