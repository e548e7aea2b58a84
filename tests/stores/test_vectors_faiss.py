"""Kinds by size, the recall gate, memory maps and damaged files."""

import json
from pathlib import Path

import numpy as np
import pytest
from sample_frames import DIM, make_vectors

from khung.errors import ConfigError, CorruptError, NotFound
from khung.stores import vectors_build
from khung.stores.vectors_build import Fast, IndexPolicy, write_part
from khung.stores.vectors_faiss import FaissVectors


def write(folder: Path, count: int, policy: IndexPolicy, **options: int) -> Fast:
    folder.mkdir()
    return write_part(folder, np.arange(count), make_vectors(count, **options), policy)


@pytest.mark.parametrize(("count", "kind"), [(50, "none"), (300, "sq8"), (1200, "ivf")])
def test_the_kind_follows_the_size(tmp_path: Path, count: int, kind: str) -> None:
    fast = write(tmp_path / "p", count, IndexPolicy(exact_up_to=100, sq8_up_to=1000), clusters=30)
    assert fast.kind == kind
    assert fast.recall_at_10 >= 0.98
    assert FaissVectors([tmp_path / "p"], DIM).kinds == [fast]


def test_a_kind_that_misses_the_gate_is_not_kept(tmp_path: Path) -> None:
    """A gate that nothing approximate reaches leaves the exact index."""
    fast = write(tmp_path / "p", 2000, IndexPolicy(exact_up_to=100, sq8_up_to=500, graph_up_to=0, recall_at_10=1.01))
    assert fast == Fast()
    assert not (tmp_path / "p" / vectors_build.FAST).exists()


def test_where_few_lists_find_too_little_there_is_a_graph(tmp_path: Path) -> None:
    """Evenly spread vectors lie in no lists; a graph that would take too long to build gives way to many lists."""
    assert write(tmp_path / "p", 4000, IndexPolicy(exact_up_to=1, sq8_up_to=1, probes=(1, 2))).kind == "hnsw"
    few = write(tmp_path / "q", 4000, IndexPolicy(exact_up_to=1, sq8_up_to=1, probes=(1, 2), graph_up_to=3999))
    assert (few.kind, few.nprobe >= 64) == ("ivf", True)


def test_more_lists_are_probed_until_the_gate_is_reached(tmp_path: Path) -> None:
    low = write(tmp_path / "low", 4000, IndexPolicy(exact_up_to=1, sq8_up_to=1, graph_up_to=0, recall_at_10=0.3))
    high = write(tmp_path / "high", 4000, IndexPolicy(exact_up_to=1, sq8_up_to=1, graph_up_to=0, recall_at_10=0.98))
    assert low.nprobe < high.nprobe
    assert low.recall_at_10 < high.recall_at_10


def test_the_gate_sees_a_bad_index(tmp_path: Path) -> None:
    """The measured recall is that of the index: one list of many finds little of evenly spread vectors."""
    import faiss

    vectors = make_vectors(3000)
    exact = faiss.IndexFlatIP(DIM)
    exact.add(vectors)
    ivf = faiss.index_factory(DIM, "IVF128,SQ8", faiss.METRIC_INNER_PRODUCT)
    ivf.train(vectors)
    ivf.add(vectors)
    queries = vectors_build.sample_queries(vectors, 32)
    assert vectors_build.recall_at_10(vectors, ivf, Fast("ivf", 128, 1), queries) < 0.6
    assert vectors_build.recall_at_10(vectors, ivf, Fast("ivf", 128, 128), queries) > 0.9
    assert vectors_build.recall_at_10(vectors, exact, Fast(), queries) == 1


def test_everything_can_be_taken_out_again_without_loss(tmp_path: Path) -> None:
    write(tmp_path / "p", 700, IndexPolicy(exact_up_to=100))
    sealed = FaissVectors([tmp_path / "p"], DIM)
    ids = sealed.ids()
    vectors = sealed.stored(ids)
    assert (sealed.stored(ids[::-7]) == vectors[::-7]).all()
    with pytest.raises(NotFound):
        sealed.stored(np.array([5, 7000]))
    (tmp_path / "q").mkdir()
    write_part(tmp_path / "q", ids, vectors, IndexPolicy(exact_up_to=100))
    for name in (vectors_build.IDS, vectors_build.EXACT, vectors_build.FAST):
        assert (tmp_path / "p" / name).read_bytes() == (tmp_path / "q" / name).read_bytes()


@pytest.mark.parametrize(
    "name", [vectors_build.IDS, vectors_build.EXACT, vectors_build.FAST, vectors_build.FAST_PARAMETERS]
)
def test_a_truncated_or_missing_file_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path / "p", 300, IndexPolicy(exact_up_to=100))
    path = tmp_path / "p" / name
    whole = path.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(CorruptError):
            FaissVectors([tmp_path / "p"], DIM)
    path.unlink()
    with pytest.raises(CorruptError):
        FaissVectors([tmp_path / "p"], DIM)


def test_parts_that_disagree_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "p", 30, IndexPolicy())
    write(tmp_path / "q", 30, IndexPolicy(), dim=8)
    with pytest.raises(CorruptError, match="8 dimensions, not 16"):
        FaissVectors([tmp_path / "p", tmp_path / "q"], DIM)
    np.save(tmp_path / "p" / vectors_build.IDS, np.arange(29))
    with pytest.raises(CorruptError, match="disagree"):
        FaissVectors([tmp_path / "p"], DIM)
    assert json.loads((tmp_path / "q" / vectors_build.FAST_PARAMETERS).read_bytes())["kind"] == "none"


def test_k_is_checked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        FaissVectors([], DIM).search(make_vectors(1), 0)


@pytest.mark.parametrize("kind", ["sq8", "hnsw", "ivf"])
def test_of_a_short_list_the_exact_scores_decide(tmp_path: Path, kind: str) -> None:
    """Eight bits put close scores in another order; what is answered has the order and the scores of the stored vectors."""
    many = 10**9
    policies = {
        "sq8": IndexPolicy(exact_up_to=100, sq8_up_to=many),
        "hnsw": IndexPolicy(exact_up_to=100, sq8_up_to=100, probes=()),
        "ivf": IndexPolicy(exact_up_to=100, sq8_up_to=100, graph_up_to=0),
    }
    assert write(tmp_path / "p", 2000, policies[kind], clusters=30).kind == kind
    index = FaissVectors([tmp_path / "p"], DIM)
    queries = make_vectors(300, seed=5, clusters=30)
    scores, ids = index.search(queries, 10)
    exact_scores, exact_ids = index.search(queries, 10, exact=True)
    found = np.mean([len({*a} & {*b}) / 10 for a, b in zip(ids.tolist(), exact_ids.tolist(), strict=True)])
    assert found > (0.99 if kind == "sq8" else 0.9), "lists and graphs do not look everywhere"
    same = ids == exact_ids
    assert np.abs(scores - exact_scores)[same].max() < 1e-5
    assert index.search(queries[:0], 10)[1].shape == (0, 10)


def test_remembered_filters_are_never_mistaken_for_one_another(tmp_path: Path) -> None:
    """More filters than are remembered, made and dropped so that their memory is used again, asked twice each."""
    write(tmp_path / "p", 700, IndexPolicy(exact_up_to=100))
    index = FaissVectors([tmp_path / "p"], DIM)
    ids, query = index.ids(), index.reconstruct(int(index.ids()[0]))[None]
    for n in range(60):
        allowed = np.sort(np.random.default_rng(n).choice(ids, 40, replace=False))
        for _ in range(2):
            _, found = index.search(query, 40, allowed=allowed)
            assert np.array_equal(np.sort(found[0]), allowed)
        del allowed


def test_long_answers_look_into_more_lists(tmp_path: Path) -> None:
    write(tmp_path / "p", 4000, IndexPolicy(exact_up_to=1, sq8_up_to=1, recall_at_10=0.3), clusters=30)
    index = FaissVectors([tmp_path / "p"], DIM)
    assert index.kinds[0].kind == "ivf"
    query = index.reconstruct(int(index.ids()[7]))[None]
    exact = set(index.search(query, 400, exact=True)[1][0].tolist())
    found = set(index.search(query, 400)[1][0].tolist()) - {-1}
    assert len(found & exact) > 0.8 * len(exact)
