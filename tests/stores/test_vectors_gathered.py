"""All parts in one set of lists: that they are asked, that they find what the parts find, and when they are left alone."""

from pathlib import Path

import numpy as np
import pytest
from sample_frames import DIM, make_vectors

from khung.stores import vectors_gathered
from khung.stores.vectors_build import IndexPolicy, train_coarse, write_part
from khung.stores.vectors_faiss import FaissVectors
from khung.stores.vectors_gathered import Gathered, gathered
from khung.stores.vectors_probes import Probes, as_good

LISTS = IndexPolicy(exact_up_to=100, sq8_up_to=100, graph_up_to=0)
GRAPHS = IndexPolicy(exact_up_to=100, sq8_up_to=100, probes=())


def parts(folder: Path, *policies: IndexPolicy, count: int = 4000, shared: bool = True) -> FaissVectors:
    """One part a policy, of vectors in clusters."""
    vectors = make_vectors(count, clusters=60)
    centroids = train_coarse(vectors, 128) if shared else None
    for n, policy in enumerate(policies):
        (folder / str(n)).mkdir()
        mine = np.arange(n, count, len(policies))
        write_part(folder / str(n), mine, vectors[mine], policy, centroids=centroids if policy is LISTS else None)
    return FaissVectors([folder / str(n) for n in range(len(policies))], DIM)


def questions(count: int = 100) -> np.ndarray:
    """Half way between a frame and nothing in particular."""
    mixed = make_vectors(count, clusters=60, seed=3) + make_vectors(count, seed=4)
    return mixed / np.linalg.norm(mixed, axis=1, keepdims=True)


def share(found: np.ndarray, exact: np.ndarray) -> float:
    return float(np.mean([len({*a} & {*b}) / len({*b}) for a, b in zip(found.tolist(), exact.tolist(), strict=True)]))


@pytest.mark.parametrize("policies", [(LISTS,) * 4, (LISTS, GRAPHS, IndexPolicy())])
def test_it_finds_what_the_parts_find(tmp_path: Path, policies: tuple[IndexPolicy, ...]) -> None:
    """Parts without lists, too: each of their vectors goes into the nearest."""
    index = parts(tmp_path, *policies)
    assert {one.kind for one in index.kinds} >= {"ivf"}
    asked = questions()
    exact = {k: index.search(asked, k, exact=True)[1] for k in (10, 300)}
    before = {k: share(index.search(asked, k)[1], exact[k]) for k in (10, 300)}
    index.warm()
    after = {k: share(index.search(asked, k)[1], exact[k]) for k in (10, 300)}
    assert after[10] >= min(before[10], 0.98) - 0.02 and after[300] >= min(before[300], 0.98) - 0.02


def test_warming_changes_who_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = parts(tmp_path, LISTS, LISTS)
    index.warm()
    monkeypatch.setattr(index, "_ask", lambda *_: pytest.fail("the parts were asked"))
    scores, ids = index.search(questions(3), 300)
    assert (ids >= 0).all() and (np.diff(scores, axis=1) <= 0).all()


def test_scores_are_those_of_the_stored_vectors(tmp_path: Path) -> None:
    """To what eight bits keep."""
    index = parts(tmp_path, LISTS, LISTS)
    index.warm()
    asked = questions(20)
    scores, ids = index.search(asked, 300)
    stored = index.stored(ids.ravel()).reshape(*ids.shape, -1)
    assert np.abs(np.einsum("qkd,qd->qk", stored, asked) - scores).max() < 0.01


@pytest.mark.parametrize("fraction", [0.003, 0.05, 0.2, 0.7, 1.0])
def test_a_filter_lets_nothing_else_pass(tmp_path: Path, fraction: float) -> None:
    index = parts(tmp_path, LISTS, LISTS)
    index.warm()
    allowed = np.sort(np.random.default_rng(1).choice(4000, round(4000 * fraction), replace=False))
    asked = questions(30)
    _, found = index.search(asked, 200, allowed=allowed)
    exact = index.search(asked, 200, allowed=allowed, exact=True)[1]
    assert set(found.ravel().tolist()) - {-1} <= set(allowed.tolist())
    assert share(found, exact) == 1 if fraction <= 0.05 else share(found, exact) > 0.85


def test_one_part_and_parts_without_lists_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert gathered(parts(tmp_path / "a", GRAPHS, IndexPolicy(), shared=False).parts) is None
    alone = parts(tmp_path / "b", LISTS)
    alone.warm()
    assert alone._gathered is None


def test_what_takes_too_much_memory_is_left_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = parts(tmp_path, LISTS, LISTS)
    monkeypatch.setattr(vectors_gathered, "_MOST_BYTES", 4000 * DIM - 1)
    assert gathered(index.parts) is None
    monkeypatch.setattr(vectors_gathered, "_MOST_BYTES", 4000 * DIM)
    assert gathered(index.parts) is not None


def test_what_finds_too_little_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Codes that say nothing reach the gate with no number of lists."""
    index = parts(tmp_path, LISTS, LISTS)
    one = gathered(index.parts)
    assert isinstance(one, Gathered) and as_good(one, index)
    monkeypatch.setattr(one, "_codes", np.zeros_like(one._codes))
    assert not as_good(one, index)


def test_lists_grow_with_the_length_of_the_answer() -> None:
    probes = Probes(8, 37)
    assert [probes(k) for k in (1, 10, 20, 300, 590)] == [8, 8, 9, 37, 66]
    assert Probes(16, 16)(5000) == 16
