"""Retiring, rolling back, collecting: on a real shelf, by the jobs that an operator starts."""

import dataclasses
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from kitchen import Kitchen, kitchen_in

import ops.retire
from assets.catalog import heads, sealable
from assets.partitions import VIDEOS
from khung.shards.manifest import shard_of
from khung.shards.snapshot import Snapshot, current, history
from orchestration.ranges import range_tags

A, B = [name for name in (f"v{i}" for i in range(500)) if shard_of(name, 16) == 3][:2]
C, D = [name for name in (f"v{i}" for i in range(500)) if shard_of(name, 16) == 4][:2]


@pytest.fixture
def kitchen(instance: dg.DagsterInstance, tmp_path: Path) -> Kitchen:
    kitchen = kitchen_in(tmp_path, instance)
    kitchen.stock(A, B, C)
    publish(kitchen)
    return kitchen


def publish(kitchen: Kitchen) -> str:
    """Seal what is behind and put it into service."""
    for index in sealable(kitchen.ledger, 16, ""):
        assert kitchen.run("make_shard_indices", tags=range_tags([f"{index:02}"])).success
    assert kitchen.run("make_search_snapshot").success
    return current(kitchen.settings.shelf_dir)


def served(kitchen: Kitchen) -> set[str]:
    with Snapshot.open(kitchen.settings.shelf_dir, current(kitchen.settings.shelf_dir)) as snapshot:
        return {video.video_id for video in snapshot.records.videos()}


def test_a_retired_video_leaves_every_store(kitchen):
    kitchen.library.put_image(A, 0, "thumb.webp", b"a picture")
    assert VIDEOS.name == ops.retire.PARTITIONS
    assert kitchen.run("retire_videos_job", config={"ops": {"retire_videos": {"config": {"videos": [A]}}}}).success
    assert list(kitchen.library.archive.keys("")) and not [k for k in kitchen.library.archive.keys("") if f"/{A}/" in k]
    assert A not in kitchen.instance.get_dynamic_partitions(VIDEOS.name)
    publish(kitchen)
    assert served(kitchen) == {B, C}


def test_the_last_video_of_a_shard_takes_the_shard_along(kitchen):
    kitchen.run("retire_videos_job", config={"ops": {"retire_videos": {"config": {"videos": [C]}}}})
    assert list(heads(kitchen.ledger, 16)) == [3]
    publish(kitchen)
    assert served(kitchen) == {A, B}


def test_an_unknown_video_cannot_be_retired(kitchen):
    config = {"ops": {"retire_videos": {"config": {"videos": ["nobody"]}}}}
    assert not kitchen.run("retire_videos_job", config=config).success
    assert served(kitchen) == {A, B, C}


def test_one_changed_video_is_put_into_the_seal_that_was(kitchen):
    before = heads(kitchen.ledger, 16)
    kitchen.stock(A, seed=7)
    kitchen.ledger.put([replace(kitchen.ledger.get(A)["shard_indices"], state="waiting")])
    publish(kitchen)
    after = heads(kitchen.ledger, 16)
    assert before[3] != after[3] and before[4] == after[4]
    assert served(kitchen) == {A, B, C}


def test_sealing_by_hand_is_from_the_archive_and_gives_the_same_shard(kitchen):
    before = heads(kitchen.ledger, 16)
    assert kitchen.run("make_shard_indices", tags=range_tags([f"{i:02}" for i in range(16)])).success
    assert heads(kitchen.ledger, 16) == before


def test_rolling_back_and_forth(kitchen):
    first = current(kitchen.settings.shelf_dir)
    kitchen.stock("another")
    second = publish(kitchen)
    assert kitchen.run("roll_back_job").success
    assert current(kitchen.settings.shelf_dir) == first
    config = {"ops": {"roll_back": {"config": {"snapshot_id": second}}}}
    assert kitchen.run("roll_back_job", config=config).success
    assert current(kitchen.settings.shelf_dir) == second
    assert [move.reason for move in history(kitchen.settings.shelf_dir)] == [
        "publish",
        "publish",
        "rollback",
        "rollback",
    ]


def test_there_may_be_nothing_to_go_back_to(kitchen):
    assert not kitchen.run("roll_back_job").success


def test_garbage_is_what_nothing_shows(kitchen):
    used = kitchen.library.put_image(A, 0, "thumb.webp", b"of a keyframe")
    unused = kitchen.library.put_image(A, 7, "thumb.webp", b"of no keyframe")
    assert kitchen.run("collect_garbage_job").success
    assert kitchen.library.archive.size(used)
    assert kitchen.library.archive.size(unused) is None
    assert served(kitchen) == {A, B, C}


def test_pictures_of_keyframes_that_are_being_made_anew_are_no_garbage(kitchen):
    new = kitchen.library.put_image(A, 9, "thumb.webp", b"of a keyframe that is yet to be written")
    entry = kitchen.ledger.get(A)["keyframes"]
    kitchen.ledger.put([dataclasses.replace(entry, state="running")])
    assert kitchen.run("collect_garbage_job").success
    assert kitchen.library.archive.size(new)
    kitchen.ledger.put([entry])
    assert kitchen.run("collect_garbage_job").success
    assert kitchen.library.archive.size(new) is None


def test_an_audit_before_the_first_snapshot_says_so(instance, tmp_path):
    result = kitchen_in(tmp_path / "new", instance).run("audit")
    told = {e.check_name: (e.passed, e.metadata) for e in result.get_asset_check_evaluations()}
    assert "No snapshot is in service" in told["library_agrees"][1]["complaint"].value
    assert [told[name][0] for name in ("library_agrees", "still_answers", "answers_judged_topics")] == [
        False,
        False,
        True,
    ]


def test_the_audit_compares_and_asks(kitchen):
    result = kitchen.run("audit")
    assert {e.check_name: e.passed for e in result.get_asset_check_evaluations()} == {
        "library_agrees": True,
        "still_answers": True,
        "answers_judged_topics": True,
    }
    kitchen.stock("unpublished")
    result = kitchen.run("audit")
    (agrees,) = [e for e in result.get_asset_check_evaluations() if e.check_name == "library_agrees"]
    assert not agrees.passed
    assert agrees.metadata["missing"].value == "unpublished"


def test_a_damaged_shard_is_told_by_the_audit_and_never_published(kitchen):
    shard = heads(kitchen.ledger, 16)[3]
    file = next((kitchen.settings.shelf_dir / "shards" / shard / "vectors").glob("*.faiss"))
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.chmod(0o644)
    file.write_bytes(data)
    evaluations = kitchen.run("audit").get_asset_check_evaluations()
    assert [e.passed for e in evaluations if e.check_name == "still_answers"] == [False]
    before = current(kitchen.settings.shelf_dir)
    kitchen.stock(D)
    assert kitchen.run("make_shard_indices", tags=range_tags(["04"])).success
    result = kitchen.run("make_search_snapshot")
    assert not result.success
    assert [e.passed for e in result.get_asset_check_evaluations()] == [False]
    assert current(kitchen.settings.shelf_dir) == before


def test_a_damaged_seal_is_no_ground_to_build_on(kitchen):
    """The shard is made from the archive instead."""
    shard = heads(kitchen.ledger, 16)[3]
    (kitchen.settings.shelf_dir / "shards" / shard / "manifest.json").chmod(0o644)
    (kitchen.settings.shelf_dir / "shards" / shard / "manifest.json").write_bytes(b"{}")
    kitchen.stock(A, seed=3)
    kitchen.ledger.put([replace(kitchen.ledger.get(A)["shard_indices"], state="waiting")])
    publish(kitchen)
    assert served(kitchen) == {A, B, C}


def test_check_results_are_kept_by_dagster(kitchen):
    key = dg.AssetCheckKey(dg.AssetKey("search_snapshot"), "canary_queries")
    (record,) = kitchen.instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    assert record.status.value == "SUCCEEDED"
