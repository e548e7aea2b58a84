"""What is to be done next, by the ledger alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from assets import catalog
from assets.recipe import SEAL_VERSION
from khung.shards.manifest import shard_of
from khung.stores import LedgerEntry
from khung.stores.ledger_sqlite import SqliteLedger

LONG_AGO, NEVER = "9999", ""


@pytest.fixture
def ledger(tmp_path: Path) -> SqliteLedger:
    return SqliteLedger(tmp_path / "ledger.sqlite")


def done(*stages: str, video: str = "a") -> list[LedgerEntry]:
    return [LedgerEntry(video, stage, "done", fingerprint="x") for stage in stages]


def pending(ledger, stage, **more) -> list[str]:
    return [entry.video_id for entry in catalog.pending(ledger, stage, **more)]


def test_a_stage_waits_for_all_that_it_needs(ledger):
    ledger.put(done("videos"))
    assert (pending(ledger, "shots"), pending(ledger, "keyframes")) == (["a"], [])
    ledger.put(done("shots", "keyframes"))
    assert (pending(ledger, "embeddings"), pending(ledger, "descriptions")) == (["a"], ["a"])


def test_a_video_can_be_sealed_before_it_is_described(ledger):
    ledger.put(done("videos", "shots", "keyframes", "embeddings"))
    assert pending(ledger, "shard_indices") == ["a"]


@pytest.mark.parametrize(
    ("state", "attempt", "expected"),
    [("waiting", 0, True), ("done", 0, False), ("failed", 1, False), ("running", 1, True), ("running", 3, False)],
)
def test_states(ledger, state, attempt, expected):
    ledger.put([*done("videos"), LedgerEntry("a", "shots", state, attempt=attempt)])
    assert (pending(ledger, "shots") == ["a"]) is expected


def test_what_is_in_flight_is_not_pending(ledger):
    ledger.put([*done("videos"), *done("videos", video="b")])
    assert pending(ledger, "shots", in_flight=["a"]) == ["b"]


def test_a_look_answers_as_the_ledger_and_reads_each_stage_once(ledger, monkeypatch):
    ledger.put([*done("videos", "shots"), *done("videos", video="b"), LedgerEntry("b", "shots", "failed")])
    look, read = catalog.Look(ledger), []
    for _ in range(2):
        for state in (None, "done", "failed", "running"):
            assert look.find(stage="shots", state=state) == ledger.find(stage="shots", state=state)
    monkeypatch.setattr(ledger, "find", lambda find=ledger.find, **asked: read.append(asked["stage"]) or find(**asked))
    assert catalog.pending(look, "shots") == catalog.pending(look, "shots") == []
    assert read == ["videos"], "shots were read before, and an older look does not change"


def test_another_recipe_is_stale(ledger):
    ledger.put(
        [LedgerEntry("a", "shots", "done", code_version="1"), LedgerEntry("b", "shots", "done", code_version="2")]
    )
    assert catalog.stale(ledger, "shots", "2") == ["a"]


def test_a_seal_of_another_version_is_made_again_unasked(ledger):
    seal = LedgerEntry("a", "shard_indices", "done", fingerprint="x", code_version=SEAL_VERSION)
    ledger.put([*done("videos", "shots", "keyframes", "embeddings", "descriptions"), seal])
    assert pending(ledger, "shard_indices") == []
    ledger.put([replace(seal, code_version="1-schema1-text1")])
    assert pending(ledger, "shard_indices") == ["a"]
    assert catalog.sealable(ledger, 16, LONG_AGO).keys() == {shard_of("a", 16)}


def test_what_builds_on_a_stage(ledger):
    assert catalog.after("keyframes") == ("preview", "embeddings", "descriptions", "shard_indices")
    assert catalog.after("descriptions") == ("shard_indices",)
    assert catalog.after("shard_indices") == ()


def test_outdated_leaves_links_and_absent_stages_alone():
    entries = {e.stage: e for e in done("keyframes", "embeddings")} | {"shots": LedgerEntry("a", "shots", "linked")}
    assert [(e.stage, e.state) for e in catalog.outdated(entries, "videos")] == [
        ("keyframes", "waiting"),
        ("embeddings", "waiting"),
    ]


def test_a_seal_stays_the_newest_until_there_is_another(ledger):
    shard = shard_of("a", 16)
    sealed = LedgerEntry("a", "shard_indices", "done", fingerprint="old")
    ledger.put([*done("embeddings"), sealed])
    assert catalog.heads(ledger, 16) == {shard: "old"}
    ledger.put(catalog.outdated(ledger.get("a"), "embeddings"))
    assert catalog.heads(ledger, 16) == {shard: "old"}
    assert list(catalog.dirty_shards(ledger, 16)) == [shard]


def test_a_shard_without_videos_has_no_head(ledger):
    ledger.put(LedgerEntry("a", "shard_indices", "done", fingerprint="old") for _ in range(1))
    ledger.forget("a")
    assert catalog.heads(ledger, 16) == {}


def test_sealable_by_patience(ledger):
    names = [name for name in (f"v{i}" for i in range(500)) if shard_of(name, 16) == 3]
    ledger.put(done("videos", "shots", "keyframes", "embeddings", "descriptions", video=names[0]))
    assert list(catalog.sealable(ledger, 16, NEVER)) == [3]
    ledger.put(done("videos", video=names[1]))  # its shots are pending
    assert catalog.sealable(ledger, 16, NEVER) == {}
    assert list(catalog.sealable(ledger, 16, LONG_AGO)) == [3]
    ledger.put([LedgerEntry(names[1], "shard_indices", "done", fingerprint="s")])  # it is in service already
    assert catalog.sealable(ledger, 16, LONG_AGO) == {}


# -- previews -------------------------------------------------------------------------------------------------------------


def invited(video: str = "a") -> list[LedgerEntry]:
    return [*done("videos", "shots", "keyframes", video=video), LedgerEntry(video, "preview", "waiting")]


def test_only_who_is_invited_gets_a_preview_and_it_comes_first(ledger):
    ledger.put([*invited("a"), *done("videos", "shots", "keyframes", video="b")])
    assert pending(ledger, "preview") == ["a"]
    assert pending(ledger, "embeddings") == pending(ledger, "descriptions") == ["b"]
    assert catalog.unready(ledger, "preview", ["a", "b"]) == {"b"}
    ledger.put(done("preview"))
    assert pending(ledger, "embeddings") == ["a", "b"]


def test_a_preview_that_failed_holds_nothing_up(ledger):
    ledger.put([*invited(), LedgerEntry("a", "preview", "failed")])
    assert (pending(ledger, "preview"), pending(ledger, "embeddings")) == ([], ["a"])


def test_a_preview_waits_for_keyframes_that_are_made_again(ledger):
    ledger.put([*invited(), LedgerEntry("a", "keyframes", "waiting")])
    assert pending(ledger, "preview") == []


def test_a_shard_with_a_new_preview_is_sealed_at_once_and_again_with_the_whole(ledger):
    a, b = [name for name in (f"v{i}" for i in range(500)) if shard_of(name, 16) == 3][:2]
    ledger.put([*invited(a), *done("preview", video=a), *done("videos", video=b)])
    assert catalog.shard_members(ledger, 16) == {3: [a]}
    assert list(catalog.sealable(ledger, 16, NEVER)) == [3]
    ledger.put([LedgerEntry(a, "shard_indices", "done", fingerprint="s")])
    assert catalog.sealable(ledger, 16, NEVER) == {}
    ledger.put([*done("embeddings", video=a), *catalog.outdated(ledger.get(a), "embeddings")])
    assert catalog.previewed(ledger) == set()
    assert catalog.sealable(ledger, 16, NEVER) == {}  # b, and a's descriptions, are still to come
    assert list(catalog.sealable(ledger, 16, LONG_AGO)) == [3]


def test_who_was_whole_once_never_goes_back_to_a_preview(ledger):
    ledger.put([*invited(), *done("preview", "embeddings", "descriptions", "shard_indices")])
    ledger.put(catalog.outdated(ledger.get("a"), "keyframes"))
    assert catalog.previewed(ledger) == set()
    assert (pending(ledger, "preview"), pending(ledger, "embeddings")) == ([], ["a"])
    assert catalog.sealable(ledger, 16, LONG_AGO) == {}
