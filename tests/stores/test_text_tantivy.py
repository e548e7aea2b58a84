"""Parts gathered into one segment: the same answers, before, while and after, and without the room for it."""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from khung.stores import TextClause
from khung.stores.text_tantivy import TantivyText, write_part

CLAUSES = [TextClause("vi_key", "chung", 2.0), TextClause("vi_key", "rieng"), TextClause("vi_fold", "it", 0.3)]


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    """Twelve parts of different sizes, with many equal scores."""
    rng = np.random.default_rng(3)
    folders = [tmp_path / f"part{n}" for n in range(12)]
    for number, folder in enumerate(folders):
        folder.mkdir()
        ids = rng.choice(2**62, 40 + 30 * number, replace=False).tolist()
        texts = ["chung " * (1 + i % 3) + ("rieng" if i % 11 == 0 else "khac") for i in ids]
        documents = (
            (i, {"vi_key": t, "vi_fold": "it" if i % 5 == 0 else "nhieu"}) for i, t in zip(ids, texts, strict=True)
        )
        write_part(folder, documents)
    return folders


def asked(index: TantivyText, limit: int = 70) -> tuple[list[int], list[float]]:
    scores, ids = index.best(CLAUSES, limit=limit)
    return ids.tolist(), scores.tolist()


def test_gathered_parts_answer_the_same(parts: list[Path]) -> None:
    index = TantivyText(parts)
    before = asked(index), index.document_counts(CLAUSES), index.facets(CLAUSES), index.ids().tolist()
    index.warm()
    assert index._searcher.num_segments == 1
    assert (asked(index), index.document_counts(CLAUSES), index.facets(CLAUSES), index.ids().tolist()) == before
    for limit in (1, 7, 300, 5000):
        assert asked(index, limit) == asked(TantivyText(parts), limit)


def test_questions_while_parts_are_gathered(parts: list[Path]) -> None:
    index = TantivyText(parts)
    expected = index.search(CLAUSES, limit=30)
    with ThreadPoolExecutor(4) as pool:
        warming = pool.submit(index.warm)
        answers = [pool.submit(index.search, CLAUSES, limit=30) for _ in range(60)]
        assert all(answer.result() == expected for answer in answers)
        warming.result()
    assert index.search(CLAUSES, limit=30) == expected


def test_without_room_the_parts_go_on_answering(
    parts: list[Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    index = TantivyText(parts)
    expected = asked(index)

    def full(*args: object, **kwargs: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "mkdtemp", full)
    index.warm()
    assert asked(index) == expected
    assert [record.message for record in caplog.records] == ["text_not_gathered"]


def test_nothing_is_left_in_the_temporary_folder(
    parts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(room))
    index = TantivyText(parts)
    index.warm()
    assert list(room.iterdir()) == []
    assert len(asked(index)[0]) == 70, "the files are gone by name and still mapped"
