"""Publishing, reading, rolling back, collecting."""

import os
import threading
import time
from pathlib import Path

import pytest
from sample_frames import DIM, make_vectors
from sample_shelf import FAST, MODEL, make_input, make_library, seal_all, seal_one

from khung.errors import CorruptError, NotFound, PublishConflict
from khung.records import vector_id
from khung.shards import garbage, snapshot
from khung.shards.garbage import collect
from khung.shards.reader import Shard, shard_folder
from khung.shards.snapshot import Snapshot, current, history, publish, rollback
from khung.shards.writer import ASIDE
from khung.stores import FrameFilter, TextClause, vectors_build
from khung.stores.records_duckdb import DuckRecords
from khung.stores.text_tantivy import TantivyText
from khung.stores.vectors_build import IndexPolicy
from khung.stores.vectors_faiss import FaissVectors


def test_a_library_is_published_and_read(tmp_path: Path) -> None:
    videos = make_library(7)
    sealed = publish(
        tmp_path, seal_all(tmp_path, videos), measure=lambda s: {"vector_text": (0.1, 0.4), "n": (len(s.vectors),)}
    )
    assert current(tmp_path) == sealed.snapshot_id
    with Snapshot.open(tmp_path, sealed.snapshot_id) as here:
        assert (here.id, here.fingerprint, dict(here.normalisers)) == (
            sealed.snapshot_id, MODEL, {"vector_text": (0.1, 0.4), "n": (70.0,)},
        )  # fmt: skip
        assert len(here.records) == len(here.text) == len(here.vectors) == 70 == here.manifest.frames
        assert [v.video_id for v in here.records.videos()] == [v.video.video_id for v in videos]
        wanted = videos[4].records[2]
        _, ids = here.vectors.search(videos[4].vectors[2:3], 1)
        assert ids[0, 0] == vector_id(wanted.frame_id)
        allowed = here.records.allowed(FrameFilter(videos=("L04_V001",)))
        hits = here.text.search([TextClause("en", "office")], limit=10, allowed=allowed)
        assert {h.vector_id for h in hits} == {vector_id(r.frame_id) for r in videos[4].records[2::5]}


def test_an_empty_library(tmp_path: Path) -> None:
    assert current(tmp_path) is None and history(tmp_path) == []
    for ids in ([], seal_all(tmp_path, [])):
        sealed = publish(tmp_path, ids)
        with Snapshot.open(tmp_path, sealed.snapshot_id) as here:
            assert len(here.records) == len(here.text) == len(here.vectors) == 0
            assert (here.vectors.search(make_vectors(1), 3)[1] == -1).all()
            assert here.text.search([TextClause("en", "office")], limit=3) == []
    assert len(history(tmp_path)) == 2


def test_the_same_shards_are_the_same_snapshot(tmp_path: Path) -> None:
    ids = seal_all(tmp_path, make_library())
    assert publish(tmp_path, ids).snapshot_id == publish(tmp_path, list(reversed(ids))).snapshot_id
    assert len(history(tmp_path)) == 1


def test_how_frames_fell_into_shards_does_not_matter(tmp_path: Path) -> None:
    """Two shards or five: the same neighbours, and the same words weigh the same."""
    videos = make_library(8, 25)
    opened = [
        Snapshot.open(p, publish(p, seal_all(p, videos, n)).snapshot_id) for n in (2, 5) if (p := tmp_path / str(n))
    ]
    asked = make_vectors(20, seed=4)
    found = [here.vectors.search(asked, 10)[1] for here in opened]
    assert (found[0] == found[1]).all()
    clauses = [TextClause("vi_key", "ao3"), TextClause("vi_fold", "pho", 0.3)]
    assert opened[0].text.document_counts(clauses) == opened[1].text.document_counts(clauses)
    assert (opened[0].records.timeline().vector_ids == opened[1].records.timeline().vector_ids).all()
    for here in opened:
        here.close()


def shards_that_disagree(shelf: Path) -> dict[str, list[str]]:
    one, two, three, four = make_library(4)
    ids = {
        i: seal_one(shelf, [v], i, 4).shard_id
        for v in make_library(20)
        if (i := snapshot.manifest.shard_of(v.video.video_id, 4)) >= 0
    }
    other = [v for v in make_library(20, 3) if snapshot.manifest.shard_of(v.video.video_id, 4) == 1]
    return {
        "embed_fingerprint": [ids[0], seal_one(shelf, other, 1, 4, embed_fingerprint="other").shard_id],
        "shard_count": [ids[0], seal_one(shelf, [one, two, three, four], 0, 1).shard_id],
        "Two shards have one number": [ids[1], seal_one(shelf, other, 1, 4).shard_id],
    }


def test_shards_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    for wrong, ids in shards_that_disagree(tmp_path).items():
        with pytest.raises(CorruptError, match=wrong):
            publish(tmp_path, ids)
    assert current(tmp_path) is None


def test_a_shard_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        publish(tmp_path, ["000-0123456789abcdef"])
    with pytest.raises(NotFound):
        Snapshot.open(tmp_path, "0123456789abcdef")
    with pytest.raises(NotFound):
        Snapshot.open(tmp_path, "../../etc/passwd")


def test_complaints_stop_the_publishing(tmp_path: Path) -> None:
    ids = seal_all(tmp_path, make_library())
    with pytest.raises(CorruptError, match="“chó” finds no dog; “xe” finds nothing"):
        publish(tmp_path, ids, canaries=lambda s: ["“chó” finds no dog", "“xe” finds nothing"])
    assert current(tmp_path) is None
    publish(tmp_path, ids, canaries=lambda s: [] if len(s.records) == 60 else ["frames are missing"])


def test_recall_below_the_gate_stops_the_publishing(tmp_path: Path) -> None:
    sealed = seal_one(tmp_path, make_library(4), policy=FAST)
    assert sealed.index_kind == "sq8"
    with pytest.raises(CorruptError, match=r"recall@10"):
        publish(tmp_path, [sealed.shard_id], min_recall=1.01)
    publish(tmp_path, [sealed.shard_id], min_recall=0.98)


def test_one_of_two_publishers_wins(tmp_path: Path) -> None:
    first = publish(tmp_path, seal_all(tmp_path, make_library(2)), expect=None).snapshot_id
    ids = [seal_all(tmp_path, make_library(2, seed=i)) for i in (1, 2, 3, 4)]
    results: list[str] = []

    def run(mine: list[str]) -> None:
        try:
            results.append(publish(tmp_path, mine, expect=first).snapshot_id)
        except PublishConflict:
            results.append("conflict")

    threads = [threading.Thread(target=run, args=(mine,)) for mine in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results.count("conflict") == 3
    assert [current(tmp_path)] == [r for r in results if r != "conflict"]
    with pytest.raises(PublishConflict):
        publish(tmp_path, ids[0], expect=None)


def test_rolling_back_and_forth(tmp_path: Path) -> None:
    one = publish(tmp_path, seal_all(tmp_path, make_library(2))).snapshot_id
    two = publish(tmp_path, seal_all(tmp_path, make_library(3))).snapshot_id
    reader = Snapshot.open(tmp_path, two)
    rollback(tmp_path, one)
    assert current(tmp_path) == one
    assert len(reader.records) == 30, "a reader keeps what it opened"
    reader.close()
    rollback(tmp_path, two, expect=one)
    with pytest.raises(PublishConflict):
        rollback(tmp_path, one, expect=one)
    assert [(m.version, m.snapshot_id, m.reason) for m in history(tmp_path)] == [
        (1, one, "publish"), (2, two, "publish"), (3, one, "rollback"), (4, two, "rollback"),
    ]  # fmt: skip
    with pytest.raises(NotFound):
        rollback(tmp_path, "0123456789abcdef")


def some_snapshots(shelf: Path, number: int) -> list[str]:
    return [publish(shelf, seal_all(shelf, make_library(2, seed=i), 2)).snapshot_id for i in range(number)]


def names(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


def test_garbage_is_what_no_kept_snapshot_names(tmp_path: Path) -> None:
    ids = some_snapshots(tmp_path, 5)
    unpublished = seal_one(tmp_path, make_library(9)).shard_id
    coming = seal_one(tmp_path, make_library(8)).shard_id
    shards = len(names(tmp_path / "shards"))
    assert collect(tmp_path, keep=2) == garbage.Collected((), (), ()), "nothing is a day old"
    gone = collect(tmp_path, keep=2, min_age_s=-1, also=[coming])
    assert set(gone.snapshots) == set(ids[:3])
    assert unpublished in gone.shards and coming not in gone.shards
    assert len(names(tmp_path / "shards")) == shards - len(gone.shards)
    for kept in ids[3:]:
        Snapshot.open(tmp_path, kept).close()
    with pytest.raises(NotFound):
        rollback(tmp_path, ids[0])
    assert current(tmp_path) == ids[4]
    assert collect(tmp_path, keep=2, min_age_s=-1, also=[coming]) == garbage.Collected((), (), ())


def test_a_rollback_is_kept_too(tmp_path: Path) -> None:
    ids = some_snapshots(tmp_path, 4)
    rollback(tmp_path, ids[0])
    collect(tmp_path, keep=1, min_age_s=-1)
    Snapshot.open(tmp_path, ids[0]).close()
    assert names(tmp_path / "snapshots") == {f"{ids[0]}.json"}


def test_what_a_slow_reader_holds_is_not_taken(tmp_path: Path) -> None:
    ids = some_snapshots(tmp_path, 3)
    reader = Snapshot.open(tmp_path, ids[0])
    held = {ref.shard_id for ref in reader.manifest.shards}
    gone = collect(tmp_path, keep=1, min_age_s=-1)
    assert held.isdisjoint(gone.shards) and len(gone.shards) == 2
    assert reader.vectors.search(make_vectors(1), 3)[1].min() >= 0
    assert len(reader.records.frames_of("L00_V001")) == 10
    reader.close()
    assert set(collect(tmp_path, keep=1, min_age_s=-1).shards) == held


def test_what_cannot_be_opened_after_all_holds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (old, *_) = some_snapshots(tmp_path, 3)
    (shard_id, *_) = sorted(ref.shard_id for ref in snapshot.read_manifest(tmp_path, old).shards)
    closed, close = [], DuckRecords.close

    def broken(*_: object) -> None:
        raise CorruptError("broken")

    monkeypatch.setattr(DuckRecords, "close", lambda self: closed.append(self) or close(self))
    for room, opens in (
        ("khung.shards.snapshot", lambda: Snapshot.open(tmp_path, old)),
        ("khung.shards.reader", lambda: Shard(shard_folder(tmp_path, shard_id))),
    ):
        monkeypatch.setattr(f"{room}.TantivyText", broken)
        with pytest.raises(CorruptError, match="broken"):
            opens()
    assert len(closed) == 2, "the records were open already"
    assert shard_id in collect(tmp_path, keep=1, min_age_s=-1).shards, "no lease holds it"


def test_what_a_crash_left_aside_goes_when_it_is_old(tmp_path: Path) -> None:
    some_snapshots(tmp_path, 1)
    left = [
        tmp_path / ".aside" / "000-half-written",
        tmp_path / ".pointer.json.12ab.aside",
        tmp_path / "snapshots" / ".x.json.ab.aside",
    ]
    left[0].mkdir(parents=True)
    (left[0] / "file").write_bytes(b"half")
    for path in left[1:]:
        path.write_bytes(b"half")
    collect(tmp_path)
    assert all(path.exists() for path in left), "it may be somebody's work in progress"
    for path in left:
        os.utime(path, (time.time() - 2 * garbage.DAY_S,) * 2)
    assert len(collect(tmp_path).aside) == 3
    assert not any(path.exists() for path in left)


def test_what_others_take_meanwhile_or_left_without_a_manifest_stops_no_collection(tmp_path: Path, monkeypatch) -> None:
    publish(tmp_path, seal_all(tmp_path, make_library(2), 2))
    bare = tmp_path / "shards" / "000-0123456789abcdef"
    bare.mkdir()
    (tmp_path / "shards" / "stray").write_bytes(b"no shard")
    vanished = tmp_path / ASIDE / "being-sealed"
    monkeypatch.setattr(garbage, "_left_aside", lambda _: [vanished])  # listed, and then renamed by its publisher
    taken = collect(tmp_path, min_age_s=-1)
    assert set(taken.shards) == {bare.name, "stray"} and taken.aside == ()
    assert not bare.exists()


def test_a_damaged_shard_heals_by_sealing_again(tmp_path: Path) -> None:
    videos = [make_input("L00_V001")]
    sealed = seal_one(tmp_path, videos)
    published = publish(tmp_path, [sealed.shard_id])
    path = shard_folder(tmp_path, sealed.shard_id) / "records" / "records.jsonl"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorruptError, match=r"records\.jsonl"):
        Snapshot.open(tmp_path, published.snapshot_id)
    assert seal_one(tmp_path, videos).shard_id == sealed.shard_id
    Snapshot.open(tmp_path, published.snapshot_id).close()


def test_ids_that_differ_between_the_stores_are_refused(tmp_path: Path) -> None:
    """The text of one shard with the vectors of another, each file sound in itself."""
    one, two = seal_one(tmp_path, [make_input("aa")]), seal_one(tmp_path, [make_input("bb")])
    shard = Shard(shard_folder(tmp_path, one.shard_id))
    other = Shard(shard_folder(tmp_path, two.shard_id))
    snapshot.check_shard(shard, 0.98)
    shard.text = other.text
    with pytest.raises(CorruptError, match="different frames"):
        snapshot.check_shard(shard, 0.98)
    for each in (shard, other):
        each.close()


def test_canaries_find_an_index_that_answers_otherwise(tmp_path: Path) -> None:
    sealed = seal_one(tmp_path, [make_input("aa", 40)])
    shard = Shard(shard_folder(tmp_path, sealed.shard_id))
    ids = shard.vectors.ids()
    snapshot.canaries.check(shard.folder, shard.vectors, shard.text)
    (tmp_path / "turned").mkdir()
    vectors_build.write_part(tmp_path / "turned", ids, make_vectors(40, seed=9), IndexPolicy())
    turned = FaissVectors([tmp_path / "turned"], DIM)
    with pytest.raises(CorruptError, match="other neighbours"):
        snapshot.canaries.check(shard.folder, turned, shard.text)
    silent = TantivyText([])
    with pytest.raises(CorruptError, match="find other frames"):
        snapshot.canaries.check(shard.folder, shard.vectors, silent)
    shard.close()
