"""Another number of shards, and a video that must be forgotten."""

from pathlib import Path

import pytest
from sample_shelf import FAST, make_input, make_library, seal_all, seal_one

from khung.errors import CorruptError, NotFound
from khung.shards import erase as erasing
from khung.shards.erase import erase, erased
from khung.shards.garbage import collect
from khung.shards.manifest import MANIFEST
from khung.shards.reader import shard_folder
from khung.shards.rescale import rescale
from khung.shards.snapshot import Snapshot, current, history, publish, read_manifest, rollback


@pytest.mark.parametrize(("before", "after"), [(4, 3), (2, 16), (5, 1), (3, 3)])
def test_rescaling_gives_what_sealing_anew_would_give(tmp_path: Path, before: int, after: int) -> None:
    videos = [*make_library(9, 8), make_input("silent", 0)]
    old = seal_all(tmp_path, videos, before, policy=FAST)
    new = [m.shard_id for m in rescale(tmp_path, old, after, policy=FAST)]
    assert new == seal_all(tmp_path / "anew", videos, after, policy=FAST)
    publish(tmp_path, old)
    sealed = publish(tmp_path, new)
    with Snapshot.open(tmp_path, sealed.snapshot_id) as here:
        assert len(here.records) == 72 and len(here.records.videos()) == 10


def test_shards_of_two_models_are_not_mixed(tmp_path: Path) -> None:
    ids = [seal_one(tmp_path, make_library(2), embed_fingerprint=m).shard_id for m in ("one", "two")]
    with pytest.raises(CorruptError):
        rescale(tmp_path, ids, 2)


def bytes_anywhere(shelf: Path, word: str) -> list[Path]:
    return [p for p in shelf.rglob("*") if p.is_file() and p.name != erasing.LOG and word.encode() in p.read_bytes()]


def publish_three(shelf: Path) -> list[str]:
    """Snapshots with 2, 4 and 6 videos."""
    return [publish(shelf, seal_all(shelf, make_library(n))).snapshot_id for n in (2, 4, 6)]


def test_an_erased_video_is_nowhere(tmp_path: Path) -> None:
    one, two, three = publish_three(tmp_path)
    assert bytes_anywhere(tmp_path, "L03_V001")
    done = erase(tmp_path, ["L03_V001"])
    assert bytes_anywhere(tmp_path, "L03_V001") == []
    assert len(done.resealed) == 1 and set(done.snapshots) == {two, three} and done.held == ()
    assert current(tmp_path) == done.snapshot_id not in (one, two, three)
    with Snapshot.open(tmp_path, str(done.snapshot_id)) as here:
        assert [v.video_id for v in here.records.videos()] == [f"L{i:02}_V001" for i in (0, 1, 2, 4, 5)]
        assert len(here.records) == len(here.text) == len(here.vectors) == 50
    for gone in (two, three):
        with pytest.raises(NotFound):
            rollback(tmp_path, gone)
    assert [m.snapshot_id for m in history(tmp_path)] == [one, done.snapshot_id]
    rollback(tmp_path, one)
    assert erased(tmp_path) == ["L03_V001"] and erased(tmp_path, since="2999") == []


def test_erasing_again_changes_nothing(tmp_path: Path) -> None:
    publish_three(tmp_path)
    first = erase(tmp_path, ["L03_V001", "never-there"])
    again = erase(tmp_path, ["L03_V001", "never-there"])
    assert (again.snapshot_id, again.resealed, again.snapshots, again.shards) == (first.snapshot_id, {}, (), ())


def test_a_crash_in_the_middle_is_finished_by_the_next_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_three(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(erasing.pointer, "forget", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        erase(tmp_path, ["L03_V001"])
    assert bytes_anywhere(tmp_path, "L03_V001")
    erase(tmp_path, ["L03_V001"])
    assert bytes_anywhere(tmp_path, "L03_V001") == []


def test_what_a_reader_holds_goes_when_it_lets_go(tmp_path: Path) -> None:
    *_, three = publish_three(tmp_path)
    reader = Snapshot.open(tmp_path, three)
    done = erase(tmp_path, ["L03_V001"])
    assert len(done.held) == 1
    assert len(reader.records.frames_of("L03_V001")) == 10
    reader.close()
    assert set(done.held) <= set(collect(tmp_path, min_age_s=-1).shards)
    assert bytes_anywhere(tmp_path, "L03_V001") == []


def test_a_damaged_old_shard_does_not_keep_a_video_from_being_forgotten(tmp_path: Path) -> None:
    one, two, three = ({ref.shard_id for ref in read_manifest(tmp_path, s).shards} for s in publish_three(tmp_path))
    old = (one | two) - three
    for shard_id in old:
        (shard_folder(tmp_path, shard_id) / MANIFEST).write_bytes(b"damaged")
    done = erase(tmp_path, ["L03_V001"])
    healed = set(done.resealed.values())  # the same content as before, sealed anew
    assert old - healed and old - healed <= set(done.shards)
    assert bytes_anywhere(tmp_path, "L03_V001") == []
    Snapshot.open(tmp_path, str(current(tmp_path))).close()


def test_erasing_from_an_empty_shelf(tmp_path: Path) -> None:
    assert erase(tmp_path, ["v"]).snapshot_id is None


def test_normalisers_survive_an_erasure(tmp_path: Path) -> None:
    publish(tmp_path, seal_all(tmp_path, make_library(4)), measure=lambda _: {"vector_text": (0.25, 0.5)})
    done = erase(tmp_path, ["L02_V001"])
    with Snapshot.open(tmp_path, str(done.snapshot_id)) as here:
        assert here.normalisers == {"vector_text": (0.25, 0.5)}
