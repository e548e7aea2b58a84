"""Sums over kept scores: tantivy's own answers at every stage of keeping, with filters, without room, and from many threads."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from khung.stores import TextClause, text_scores
from khung.stores.text_tantivy import TantivyText, write_part

WORDS = [f"w{n}" for n in range(40)]
DOCUMENTS = 3_000


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Five parts, words by Zipf's law: many equal scores, words that half of the documents have, and words of a few."""
    rng, made = np.random.default_rng(5), tmp_path_factory.mktemp("parts")
    shares = 1 / np.arange(1, len(WORDS) + 1)
    ids = rng.choice(2**62, DOCUMENTS, replace=False)
    for number, mine in enumerate(np.array_split(ids, 5)):
        (made / str(number)).mkdir()
        texts = rng.choice(WORDS, (len(mine), 6), p=shares / shares.sum())
        documents = [(int(i), {"vi_key": " ".join(t), "en": " ".join(t[:2])}) for i, t in zip(mine, texts, strict=True)]
        write_part(made / str(number), documents)
    return [made / str(number) for number in range(5)]


@pytest.fixture
def plain(folders: list[Path]) -> TantivyText:
    """The parts as they are: the reference."""
    return TantivyText(folders)


@pytest.fixture
def warm(folders: list[Path]) -> TantivyText:
    index = TantivyText(folders)
    index.warm()
    return index


def questions(seed: int = 1, count: int = 40) -> Iterator[list[TextClause]]:
    rng = np.random.default_rng(seed)
    for _ in range(count):
        words = rng.choice([*WORDS, "nowhere"], rng.integers(1, 6)).tolist()  # the same word twice is possible, too
        yield [TextClause(f, w, float(rng.choice([0.3, 1.0, 2.0]))) for w in words for f in ("vi_key", "en")]


def check(
    index: TantivyText, plain: TantivyText, clauses: list[TextClause], limit: int, allowed: np.ndarray | None = None
) -> None:
    scores, ids = index.best(clauses, limit=limit, allowed=allowed)
    assert scores.dtype == np.float32 and ids.dtype == np.int64
    expected = plain.best(clauses, limit=limit, allowed=allowed)
    assert ids.tolist() == expected[1].tolist()
    assert scores.tolist() == pytest.approx(expected[0].tolist(), rel=1e-5)


def summed(index: TantivyText, clauses: list[TextClause], limit: int) -> tuple[np.ndarray, np.ndarray] | None:
    return index._scores.best(clauses, index.document_counts(clauses), limit, None)


def test_sums_are_tantivys_answers(plain: TantivyText, warm: TantivyText) -> None:
    for clauses in questions():
        for limit in (1, 10, 300, 2 * DOCUMENTS):
            check(warm, plain, clauses, limit)
        assert summed(warm, clauses, 10) is not None, "and they were summed"


def test_filters_are_applied_before_the_limit(plain: TantivyText, warm: TantivyText) -> None:
    everything = plain.ids()
    some = [everything[:0], everything[7:8], everything[::200], everything[1::2], np.array([-5, 2**62], np.int64)]
    for allowed in [*some, everything]:
        for clauses in questions(2, 8):
            check(warm, plain, clauses, 20, allowed)


def test_words_are_fetched_bit_by_bit(plain: TantivyText, warm: TantivyText, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_scores, "_PAGE", 100)
    monkeypatch.setattr(text_scores, "_PAGES", 1_000)
    clauses = [TextClause("vi_key", "w0"), TextClause("vi_key", "w9", 2.0)]
    lacking, rounds = sum(plain.document_counts(clauses)), 0
    while summed(warm, clauses, 50) is None:
        rounds += 1
        check(warm, plain, clauses, 50)
    assert 2 * rounds + 1 >= lacking // 100 > 5, "each question fetches as many as it may, two a round"
    check(warm, plain, clauses, 50)


def test_a_frequent_word_is_fetched_in_few_pages(warm: TantivyText, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_scores, "_PAGE", 1)
    clauses, rounds = [TextClause("vi_key", "w0")], 1
    while summed(warm, clauses, 50) is None:
        rounds += 1
    assert rounds <= text_scores._PAGES + 1


def test_plain_questions_of_rare_words_are_tantivys(
    plain: TantivyText, warm: TantivyText, monkeypatch: pytest.MonkeyPatch
) -> None:
    rare = [TextClause("vi_key", "w39")]
    monkeypatch.setattr(text_scores, "_FREQUENT", plain.document_counts(rare)[0] + 1)
    assert summed(warm, rare, 10) is None
    assert summed(warm, rare, text_scores._DEEP) is not None, "a deep one is summed with nothing kept"
    check(warm, plain, rare, 300)
    check(warm, plain, rare, 300, plain.ids()[::2])


def test_without_room_tantivy_answers(folders: list[Path], plain: TantivyText, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_scores, "_ROOM", plain.document_counts([TextClause("vi_key", "w1")])[0])
    index = TantivyText(folders)
    index.warm()
    fits, beyond = [TextClause("vi_key", "w1")], [TextClause("vi_key", "w1"), TextClause("vi_key", "w2")]
    assert summed(index, fits, 10) is not None
    assert summed(index, beyond, 10) is None
    for clauses in (fits, beyond):
        check(index, plain, clauses, 10)


def test_who_holds_a_word(plain: TantivyText, warm: TantivyText) -> None:
    ids = np.sort(np.random.default_rng(3).choice(plain.ids(), 60, replace=False))
    clauses = [TextClause(field, word) for word in [*WORDS, "nowhere"] for field in ("vi_key", "en")]
    assert warm.holding(clauses, ids) is None and plain.holding(clauses, ids) is None, "nothing is kept yet"
    while summed(warm, clauses, 10) is None:
        pass
    held = warm.holding(clauses, ids)
    for clause, mask in zip(clauses, held, strict=True):
        there = plain.best([clause], limit=DOCUMENTS, allowed=ids)[1]
        assert mask.tolist() == np.isin(ids, there).tolist()


def test_many_ask_while_words_are_fetched(
    plain: TantivyText, warm: TantivyText, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_scores, "_PAGE", 50)
    with ThreadPoolExecutor(4) as pool:
        told = [pool.submit(check, warm, plain, clauses, 40) for _ in range(6) for clauses in questions(3)]
        for one in told:
            one.result()


def test_nothing_asked_of_nothing(tmp_path: Path) -> None:
    write_part(tmp_path, [])
    index = TantivyText([tmp_path])
    index.warm()
    for allowed in (None, np.array([3], np.int64)):
        assert [len(column) for column in index.best([TextClause("en", "w1")], limit=3, allowed=allowed)] == [0, 0]
