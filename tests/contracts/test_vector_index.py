"""What every VectorIndex promises, whatever its kind and however many parts it has."""

import functools
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import servers
from opensearchpy import OpenSearch
from sample_frames import DIM, make_vectors

from khung.errors import KhungError, NotFound, StoreError
from khung.stores import VectorIndex, vectors_opensearch
from khung.stores.opensearch_index import connect
from khung.stores.vectors_build import IndexPolicy, train_coarse, write_part
from khung.stores.vectors_faiss import FaissVectors

MakeIndex = Callable[..., VectorIndex]
POLICIES = {
    "faiss-exact": IndexPolicy(),
    "faiss-sq8": IndexPolicy(exact_up_to=50, sq8_up_to=10**9),
    "faiss-hnsw": IndexPolicy(exact_up_to=50, sq8_up_to=50, probes=()),
    "faiss-ivf": IndexPolicy(exact_up_to=50, sq8_up_to=50, graph_up_to=0),
    "faiss-ivf-shared": IndexPolicy(exact_up_to=50, sq8_up_to=50, graph_up_to=0),  # one coarse quantiser for all parts
    "faiss-gathered": IndexPolicy(exact_up_to=50, sq8_up_to=50, graph_up_to=0),
}


@pytest.fixture(params=[*POLICIES, pytest.param("opensearch", marks=pytest.mark.services)])
def make_index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeIndex]:
    """`make_index((ids, vectors), …)`: one part an argument."""
    written: list[str] = []

    def opensearch(*parts: tuple[np.ndarray, np.ndarray], dim: int = DIM) -> VectorIndex:
        written.append(f"test-{secrets.token_hex(6)}")
        ids = np.concatenate([np.zeros(0, np.int64), *(np.asarray(ids, np.int64) for ids, _ in parts)])
        vectors = np.concatenate([np.zeros((0, dim), np.float32), *(vectors for _, vectors in parts)])
        vectors_opensearch.write_index(client(), written[-1], ids, vectors, shards=max(len(parts), 1))
        return vectors_opensearch.OpenSearchVectors(client(), written[-1], dim)

    def faiss(*parts: tuple[np.ndarray, np.ndarray], dim: int = DIM) -> VectorIndex:
        folders = [tmp_path / f"part{i}" for i in range(len(parts))]
        everything = [vectors for _, vectors in parts if len(vectors) > 50]
        gathered = request.param == "faiss-gathered"
        shared = (gathered or request.param == "faiss-ivf-shared") and everything
        centroids = train_coarse(np.concatenate(everything), 64) if shared else None
        for folder, (ids, vectors) in zip(folders, parts, strict=True):
            folder.mkdir()
            write_part(folder, np.asarray(ids, np.int64), vectors, POLICIES[request.param], centroids=centroids)
        index = FaissVectors(folders, dim)
        if gathered:
            index.warm()
        return index

    yield opensearch if request.param == "opensearch" else faiss
    for name in written:
        vectors_opensearch.delete_index(client(), name)


@functools.cache
def client() -> OpenSearch:
    return connect(servers.shared("opensearch"), timeout_s=120)


def some_ids(count: int, seed: int = 1) -> np.ndarray:
    """Distinct ids of the whole 63-bit range, in no order."""
    return np.random.default_rng(seed).choice(2**63 - 1, count, replace=False)


def split(ids: np.ndarray, vectors: np.ndarray, parts: int) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(ids[i::parts], vectors[i::parts]) for i in range(parts)]


def exact_ids(queries: np.ndarray, ids: np.ndarray, vectors: np.ndarray, k: int) -> np.ndarray:
    return ids[np.argsort(-(queries @ vectors.T), axis=1)[:, :k]]


@pytest.mark.parametrize("parts", [1, 3])
def test_it_finds_what_exact_search_finds(make_index: MakeIndex, parts: int) -> None:
    ids, vectors = some_ids(900), make_vectors(900, clusters=20)
    index = make_index(*split(ids, vectors, parts))
    queries = make_vectors(40, seed=7, clusters=20)
    scores, found = index.search(queries, 10)
    assert len(index) == 900 and found.shape == scores.shape == (40, 10) and found.dtype == np.int64
    recall = np.mean(
        [len(set(a) & set(b)) / 10 for a, b in zip(found, exact_ids(queries, ids, vectors, 10), strict=True)]
    )
    assert recall >= 0.9
    assert (np.diff(scores, axis=1) <= 0).all()
    by_id = dict(zip(ids.tolist(), vectors, strict=True))
    true = np.array([[q @ by_id[i] for i in row] for q, row in zip(queries, found.tolist(), strict=True)])
    assert np.abs(true - scores).max() < 0.02


def test_a_vector_finds_itself_and_comes_back(make_index: MakeIndex) -> None:
    ids, vectors = some_ids(300), make_vectors(300)
    index = make_index(*split(ids, vectors, 2))
    scores, found = index.search(vectors[:50], 1)
    assert (found[:, 0] == ids[:50]).all()
    assert np.abs(scores - 1).max() < 0.02
    assert np.abs(index.reconstruct(int(ids[7])) - vectors[7]).max() < 1e-3
    with pytest.raises(NotFound):
        index.reconstruct(12345)


def test_missing_places(make_index: MakeIndex) -> None:
    ids, vectors = some_ids(3), make_vectors(3)
    scores, found = make_index((ids, vectors)).search(vectors[:1], 5)
    assert sorted(found[0, :3]) == sorted(ids) and (found[0, 3:] == -1).all()
    assert np.isinf(scores[0, 3:]).all() and (scores[0, 3:] < 0).all()


def test_nothing_in_it(make_index: MakeIndex) -> None:
    empty = (np.zeros(0, np.int64), np.zeros((0, DIM), np.float32))
    for index in (make_index(), make_index(empty, empty)):
        assert len(index) == 0
        scores, found = index.search(make_vectors(2), 3)
        assert found.tolist() == [[-1] * 3] * 2 and np.isinf(scores).all()


@pytest.mark.parametrize("share", [0.005, 0.05, 0.5, 1.0])
def test_the_filter_is_inside(make_index: MakeIndex, share: float) -> None:
    """Exactly the best allowed ones, however far down they would stand without the filter."""
    ids, vectors = some_ids(1000), make_vectors(1000)
    index = make_index(*split(ids, vectors, 3))
    allowed = np.sort(ids[: int(1000 * share)])
    queries = make_vectors(10, seed=3)
    _, found = index.search(queries, 5, allowed=allowed)
    assert set(found.ravel()) <= set(allowed)
    inside = np.isin(ids, allowed)
    best = exact_ids(queries, ids[inside], vectors[inside], 5)
    overlap = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(found, best, strict=True)])
    assert overlap == 1 if share <= 0.05 else overlap >= 0.9


def test_a_filter_that_matches_nothing_or_strangers(make_index: MakeIndex) -> None:
    index = make_index((some_ids(100), make_vectors(100)))
    for allowed in (np.zeros(0, np.int64), np.array([1, 2, 3], np.int64)):
        assert (index.search(make_vectors(1), 4, allowed=allowed)[1] == -1).all()


def test_a_filter_that_matches_everything_changes_nothing(make_index: MakeIndex) -> None:
    ids, vectors = some_ids(1000), make_vectors(1000)
    index = make_index(*split(ids, vectors, 2))
    queries = make_vectors(10, seed=3)
    scores, found = index.search(queries, 10)
    again, same = index.search(queries, 10, allowed=np.sort(ids))
    assert (same == found).all() and np.allclose(again, scores, atol=1e-6)


def test_equal_scores_come_by_id(make_index: MakeIndex) -> None:
    """Ten thousand copies of one vector: the same answer always, the smallest ids."""
    ids = some_ids(10_000)
    vectors = np.repeat(make_vectors(1), 10_000, axis=0)
    index = make_index(*split(ids, vectors, 2))
    _, found = index.search(vectors[:1], 20)
    assert found[0].tolist() == sorted(ids.tolist())[:20]


@pytest.mark.parametrize(
    "bad", [np.full((1, DIM), np.nan), np.full((1, DIM), np.inf), np.ones((1, DIM + 1)), np.ones(DIM)]
)
def test_a_bad_query_is_refused(make_index: MakeIndex, bad: np.ndarray) -> None:
    index = make_index((some_ids(100), make_vectors(100)))
    with pytest.raises(StoreError):
        index.search(bad, 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, 7.0])
def test_a_bad_vector_is_refused(make_index: MakeIndex, bad: float) -> None:
    vectors = make_vectors(100)
    vectors[42] = bad
    with pytest.raises(StoreError, match="1 vectors"):
        make_index((some_ids(100), vectors))


def test_one_id_twice_is_refused(make_index: MakeIndex) -> None:
    with pytest.raises(KhungError):
        make_index((np.array([5, 6, 5]), make_vectors(3)))


def test_many_threads_get_the_same_answers(make_index: MakeIndex) -> None:
    ids, vectors = some_ids(600), make_vectors(600)
    index = make_index(*split(ids, vectors, 2))
    queries = make_vectors(20, seed=9)
    expected = index.search(queries, 10)[1]
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: index.search(queries, 10)[1], range(40)):
            assert (found == expected).all()
