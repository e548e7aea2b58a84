"""What every TextIndex promises, in one part or many."""

import functools
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import log
from pathlib import Path

import numpy as np
import pytest
import servers
from opensearchpy import OpenSearch

from khung.errors import NotFound, StoreError
from khung.stores import TextClause, TextIndex
from khung.stores.opensearch_index import connect, delete_index, write_index
from khung.stores.text_opensearch import OpenSearchText
from khung.stores.text_tantivy import TantivyText, write_part

Documents = Sequence[tuple[int, Mapping[str, str]]]
MakeIndex = Callable[..., TextIndex]


@pytest.fixture(params=["tantivy", "tantivy-gathered", pytest.param("opensearch", marks=pytest.mark.services)])
def make_index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeIndex]:
    """`make_index(documents, parts=1)`."""
    written: list[str] = []

    def tantivy(documents: Documents, parts: int = 1) -> TextIndex:
        folders = [tmp_path / f"part{i}" for i in range(parts)]
        for number, folder in enumerate(folders):
            folder.mkdir()
            write_part(folder, documents[number::parts])
        return TantivyText(folders)

    def opensearch(documents: Documents, parts: int = 1) -> TextIndex:
        written.append(f"test-{secrets.token_hex(6)}")
        write_index(client(), written[-1], documents, shards=max(parts, 1))
        return OpenSearchText(client(), written[-1])

    def gathered(documents: Documents, parts: int = 1) -> TextIndex:
        index = tantivy(documents, parts)
        index.warm()
        return index

    yield {"tantivy": tantivy, "tantivy-gathered": gathered, "opensearch": opensearch}[request.param]
    for name in written:
        delete_index(client(), name)


@functools.cache
def client() -> OpenSearch:
    return connect(servers.shared("opensearch"), timeout_s=60)


def keys(*lines: str) -> Documents:
    return [(10 * (i + 1), {"vi_key": line}) for i, line in enumerate(lines)]


def clause(term: str, boost: float = 1.0, field: str = "vi_key") -> TextClause:
    return TextClause(field, term, boost)


def bm25(boost: float, documents: int, with_term: int, tf: int, length: int, mean: float) -> float:
    """Robertson's formula with k1 = 1.2, b = 0.75 and the factor k1 + 1."""
    weight = log(1 + (documents - with_term + 0.5) / (with_term + 0.5))
    return boost * weight * 2.2 * tf / (tf + 1.2 * (0.25 + 0.75 * length / mean))


def test_scores_are_bm25(make_index: MakeIndex) -> None:
    index = make_index(keys("ao3 đo3", "ao3 ao3 xanh", "xe đo3 đo3 đo3", "pho3"))
    hits = index.search([clause("đo3", 2.0), clause("xanh")], limit=10)
    mean = (2 + 3 + 4 + 1) / 4
    expected = {
        10: bm25(2, 4, 2, 1, 2, mean),
        20: bm25(1, 4, 1, 1, 3, mean),
        30: bm25(2, 4, 2, 3, 4, mean),
    }
    assert {h.vector_id: pytest.approx(h.score, rel=1e-4) for h in hits} == expected
    assert [h.vector_id for h in hits] == sorted(expected, key=expected.get, reverse=True)


def test_matched_terms_are_told(make_index: MakeIndex) -> None:
    index = make_index([(1, {"vi_key": "ao3 đo3", "vi_fold": "ao do"}), (2, {"vi_fold": "do"})])
    clauses = [clause("ao3"), clause("nothing"), clause("do", 0.3, "vi_fold"), clause("ao", 0.3, "vi_fold")]
    hits = {h.vector_id: h.terms for h in index.search(clauses, limit=10)}
    assert hits == {1: ("ao3", "do", "ao"), 2: ("do",)}


def test_columns_are_the_same_hits(make_index: MakeIndex) -> None:
    index = make_index([(n, {"vi_fold": "do " * (n % 4) + "ao"}) for n in range(40)])
    clauses = [clause("do", 1.0, "vi_fold"), clause("ao", 0.5, "vi_fold")]
    for limit in (0, 1, 7, 100):
        for allowed in (None, np.arange(0, 40, 3)):
            hits = index.search(clauses, limit=limit, allowed=allowed)
            scores, ids = index.best(clauses, limit=limit, allowed=allowed)
            assert (ids.tolist(), scores.dtype, ids.dtype) == ([h.vector_id for h in hits], np.float32, np.int64)
            assert np.allclose(scores, [h.score for h in hits])


def test_who_holds_a_word_is_known_or_not_said(make_index: MakeIndex) -> None:
    """Frequent words, rare ones and one of nowhere; ids of no document among them."""
    texts = [
        (i, {"vi_key": "chung rieng" if i == 7 else "chung" if i % 2 else "khac", "en": "chung"}) for i in range(40)
    ]
    index = make_index(texts, parts=3)
    clauses = [clause("rieng"), clause("chung", 0.3), clause("nowhere"), clause("chung", field="en")]
    for _ in range(4):  # what is asked for is learned meanwhile
        index.best(clauses, limit=5)
    ids = np.array([-3, 7, 1, 2, 2**62, 39], np.int64)
    if (held := index.holding(clauses, ids)) is not None:
        rieng, odd, there = ids == 7, np.isin(ids, [1, 7, 39]), np.isin(ids, [1, 2, 7, 39])
        assert [mask.tolist() for mask in held] == [m.tolist() for m in (rieng, odd, np.zeros(6, bool), there)]
        assert index.holding([], ids) == [] and len(index.holding(clauses, ids[:0])) == 4
    assert (held is None) == (not isinstance(index, TantivyText) or index._scores is None)


def test_only_whole_words_of_the_right_field(make_index: MakeIndex) -> None:
    index = make_index([(1, {"vi_key": "đương2 pho4"}), (2, {"en": "street", "ocr_key": "pho4"})])
    assert [h.vector_id for h in index.search([clause("pho4")], limit=5)] == [1]
    assert [h.vector_id for h in index.search([clause("pho4", field="ocr_key")], limit=5)] == [2]
    for term in ("đương", "pho", "Pho4", "đương2 pho4", "street"):
        assert index.search([clause(term)], limit=5) == []


def test_words_with_marks_joins_and_digits_stay_whole(make_index: MakeIndex) -> None:
    words = ["hoa2", "thuy3_điên6", "30b12345", "c++", "a_b", "đ", "'", "\u200b", "日本"]
    index = make_index(keys(*words))
    for number, word in enumerate(words):
        assert [h.vector_id for h in index.search([clause(word)], limit=5)] == [10 * (number + 1)]


def test_a_very_long_word_is_found(make_index: MakeIndex) -> None:
    word = "x" * 2000
    assert len(make_index(keys(word)).search([clause(word)], limit=1)) == 1


@pytest.mark.parametrize("parts", [1, 4])
def test_the_parts_weigh_a_term_alike(make_index: MakeIndex, parts: int) -> None:
    """A rare word of the whole is rare in each part, wherever its documents fell. (All lines are of one length.)"""
    lines = ["chung rieng" if i % 10 == 0 else "chung khac" for i in range(40)]
    index = make_index(keys(*lines), parts)
    hits = index.search([clause("rieng"), clause("chung")], limit=40)
    assert len(index) == 40
    assert index.document_counts([clause("rieng"), clause("chung"), clause("none")]) == [4, 40, 0]
    expected = bm25(1, 40, 4, 1, 2, 2) + bm25(1, 40, 40, 1, 2, 2)
    assert [h.vector_id for h in hits[:4]] == [10, 110, 210, 310]
    assert all(h.score == pytest.approx(expected, rel=1e-4) for h in hits[:4])


@pytest.mark.parametrize("parts", [1, 3])
def test_equal_scores_come_by_id(make_index: MakeIndex, parts: int) -> None:
    documents = keys(*["mot hai"] * 200)
    index = make_index(list(reversed(documents)), parts)
    assert [h.vector_id for h in index.search([clause("mot")], limit=30)] == [10 * (i + 1) for i in range(30)]


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("size", [0, 1, 50, 2500, 5900])
def test_the_filter_is_inside(make_index: MakeIndex, parts: int, size: int) -> None:
    """As if the others were not asked for: the same hits, scores and order, by whichever way it is done."""
    lines = ["chung " * (1 + i % 7) + ("dau" if i < 3000 else "") for i in range(6000)]
    index = make_index(keys(*lines), parts)
    allowed = np.sort(np.random.default_rng(size).choice(60_000, size, replace=False) // 10 * 10)
    clauses = [clause("chung"), clause("dau", 3.0)]
    everything = index.search(clauses, limit=6000)
    inside = set(allowed.tolist())
    expected = [h for h in everything if h.vector_id in inside][:20]
    assert index.search(clauses, limit=20, allowed=allowed) == expected


def test_a_filter_that_matches_everything_changes_nothing(make_index: MakeIndex) -> None:
    index = make_index(keys(*("mot " * (1 + n % 5) for n in range(3000))), 2)
    expected = index.search([clause("mot")], limit=50)
    assert index.search([clause("mot")], limit=50, allowed=np.arange(10, 30_001, 10)) == expected
    assert index.facets([clause("mot")], allowed=np.arange(10, 30_001, 10)) == index.facets([clause("mot")])


def test_a_caption_of_a_hundred_kilobytes_and_one_of_nothing(make_index: MakeIndex) -> None:
    long = " ".join(f"w{n}" for n in range(16_000))
    index = make_index([(1, {"vi_key": long}), (2, {"vi_key": ""}), (3, {"vi_key": "w9"})])
    assert len(long) > 100_000 and len(index) == 3
    assert [hit.vector_id for hit in index.search([clause("w9")], limit=5)] == [3, 1]
    assert index.highlight([clause("w15999")], [1, 2]) == [{"vi_key": (15_999,)}, {}]


def test_a_filter_far_from_the_best(make_index: MakeIndex) -> None:
    """Three thousand better documents stand before the first allowed one."""
    index = make_index(keys(*["tot tot"] * 3000, *["tot kem"] * 3000))
    allowed = np.arange(30_010, 60_001, 10)
    hits = index.search([clause("tot")], limit=5, allowed=allowed)
    assert [h.vector_id for h in hits] == [30_010, 30_020, 30_030, 30_040, 30_050]


def test_nothing_asked_nothing_there(make_index: MakeIndex) -> None:
    assert make_index([]).search([clause("ao3")], limit=5) == []
    assert make_index([], parts=0).search([clause("ao3")], limit=5) == []


def test_no_clauses_no_hits(make_index: MakeIndex) -> None:
    index = make_index([(1, {"vi_key": "ao3"}), (2, {}), (3, {"vi_key": ""})])
    assert len(index) == 3
    assert index.search([], limit=5) == []
    assert index.search([clause("ao3")], limit=0) == []
    assert index.search([clause("")], limit=5) == []


@pytest.mark.parametrize(
    "bad", [clause("a", field="title"), clause("a", field="vector_id"), clause("a", 0.0), clause("a", -1.0)]
)
def test_a_wrong_clause_is_refused(make_index: MakeIndex, bad: TextClause) -> None:
    with pytest.raises(StoreError):
        make_index(keys("a")).search([bad], limit=5)


LIBRARY = [
    (30, {"vi_key": "ao3 đo3 ao3", "vi_fold": "ao do ao", "en": "red shirt", "facets": "objects=person\nplace=a=b"}),
    (10, {"vi_key": "ao3 xanh", "vi_key_sh": "ao3_xanh", "facets": "objects=person\nobjects=traffic light"}),
    (20, {"vi_key": "đương2", "ocr_key": "ao3", "facets": "objects=dog"}),
    (40, {}),
]


@pytest.mark.parametrize("parts", [1, 3])
def test_facets_are_counted_over_what_is_found(make_index: MakeIndex, parts: int) -> None:
    index = make_index(LIBRARY, parts)
    everything = {"objects": {"person": 2, "dog": 1, "traffic light": 1}, "place": {"a=b": 1}}
    assert index.facets([]) == everything
    assert list(index.facets([])["objects"]) == ["person", "dog", "traffic light"], (
        "the most frequent first, then by value"
    )
    assert index.facets([clause("xanh"), clause("đương2")]) == {"objects": {"dog": 1, "person": 1, "traffic light": 1}}
    assert index.facets([clause("ao3")], allowed=np.array([20, 30])) == {"objects": {"person": 1}, "place": {"a=b": 1}}
    assert index.facets([clause("ao3")], allowed=np.zeros(0, np.int64)) == index.facets([clause("none")]) == {}


def test_facets_of_a_large_filter(make_index: MakeIndex) -> None:
    index = make_index([(n, {"vi_key": "a", "facets": f"kind={n % 3}"}) for n in range(3000)])
    allowed = np.arange(0, 3000, 3)
    assert index.facets([], allowed=allowed) == {"kind": {"0": 1000}}


@pytest.mark.parametrize("parts", [1, 3])
def test_found_words_are_placed(make_index: MakeIndex, parts: int) -> None:
    index = make_index(LIBRARY, parts)
    clauses = [
        clause("ao3"),
        clause("ao", field="vi_fold"),
        clause("shirt", field="en"),
        clause("ao3_xanh", field="vi_key_sh"),
    ]
    expected = [{"vi_key": (0,)}, {"vi_key": (0, 2), "vi_fold": (0, 2), "en": (1,)}, {}]
    assert index.highlight(clauses, [10, 30, 20]) == expected
    assert index.highlight([], [10, 40]) == [{}, {}]
    assert index.highlight(clauses, np.array([20, 10])) == [expected[2], expected[0]]
    assert index.highlight(clauses, []) == []
    with pytest.raises(NotFound):
        index.highlight(clauses, [10, 11])


@pytest.mark.parametrize("parts", [1, 3])
def test_words_are_completed(make_index: MakeIndex, parts: int) -> None:
    index = make_index(LIBRARY, parts)
    assert index.suggest("vi_key", "", limit=9) == [("ao3", 2), ("xanh", 1), ("đo3", 1), ("đương2", 1)]
    assert index.suggest("vi_key", "đ", limit=9) == [("đo3", 1), ("đương2", 1)]
    assert index.suggest("vi_key_sh", "ao3_", limit=9) == [("ao3_xanh", 1)]
    assert index.suggest("vi_key", "", limit=1) == [("ao3", 2)]
    for nothing in (
        index.suggest("vi_key", "", limit=0),
        index.suggest("vi_key", ".*", limit=9),
        index.suggest("en", '"(', limit=9),
    ):
        assert nothing == []
    with pytest.raises(StoreError):
        index.suggest("facets", "", limit=9)


def test_query_syntax_is_only_text(make_index: MakeIndex) -> None:
    index = make_index(keys("a b"))
    for term in ("vi_key:a", "a OR b", "*", "a*", '"a b"', "(a", "+a -b", "a~2", "a^9", "\0"):
        assert index.search([clause(term)], limit=5) == []


def test_the_largest_ids(make_index: MakeIndex) -> None:
    ids = [0, 2**62, 2**63 - 1]
    index = make_index([(i, {"vi_key": "a"}) for i in ids])
    assert [h.vector_id for h in index.search([clause("a")], limit=5)] == ids
    assert [h.vector_id for h in index.search([clause("a")], limit=5, allowed=np.array(ids[1:]))] == ids[1:]


def test_many_threads_get_the_same_answers(make_index: MakeIndex) -> None:
    index = make_index(keys(*(f"w{i % 7} w{i % 11} w{i % 13}" for i in range(2000))), 3)
    clauses = [clause("w1"), clause("w5", 2.0)]
    expected = index.search(clauses, limit=50)
    with ThreadPoolExecutor(8) as pool:
        assert all(hits == expected for hits in pool.map(lambda _: index.search(clauses, limit=50), range(40)))
