"""Many videos in one run: each fails alone, and Dagster knows afterwards what is stale and why."""

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleCauseCategory, StaleStatus
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

from assets.batch import Outcome, each_video, per_video, progress_in
from assets.catalog import pending
from assets.checks import SHOTS_TILE, CheckFailed
from assets.partitions import VIDEOS
from assets.versions import Input, version_tags
from khung.errors import ConfigError, ContextLost, MediaError, Outage
from khung.stores import Ledger, LedgerEntry
from khung.stores.ledger_sqlite import SqliteLedger
from khung.stores.waiting import waits_since
from orchestration.ranges import range_tags

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
IDS = ["a", "b", "c", "d"]


def stage(name: str, work, code_version: str = "1", workers: int = 2) -> dg.AssetsDefinition:
    """A per-video asset that does `work`; everything around it is the real thing."""

    @dg.multi_asset(**per_video(name, kinds=set(), group="g"))
    def made(context: dg.AssetExecutionContext, ledger: dg.ResourceParam[Ledger]):
        yield from each_video(context, ledger, work, workers=workers)

    return made.map_asset_specs(lambda spec: spec.replace_attributes(code_version=code_version))


def run(assets, ledger, instance, selection, videos=IDS) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        assets,
        selection=[selection],
        instance=instance,
        resources={"ledger": ledger},
        tags=range_tags(videos),
        run_config=QUIET,
        raise_on_error=False,
    )


@pytest.fixture
def ledger(tmp_path: Path) -> SqliteLedger:
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    ledger.put(LedgerEntry(v, "videos", "done", fingerprint=f"file-{v}") for v in IDS)
    return ledger


@pytest.fixture(scope="module")
def one_instance():
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions(VIDEOS.name, IDS)
        yield instance


@pytest.fixture
def instance(one_instance):
    one_instance.wipe_assets([dg.AssetKey("videos"), dg.AssetKey("shots")])
    return one_instance


def good(video_id: str) -> Outcome:
    return Outcome(f"shots-of-{video_id}", {"shots": 3})


def one_bad(video_id: str) -> Outcome:
    if video_id == "b":
        raise MediaError("truncated", "The file ends early.", cure="Upload it again.")
    return good(video_id)


def states(ledger: SqliteLedger, name: str) -> dict[str, str]:
    return {entry.video_id: entry.state for entry in ledger.find(stage=name)}


def test_one_bad_video_fails_alone_and_says_why(ledger, instance):
    result = run([stage("shots", one_bad)], ledger, instance, "shots")
    assert not result.success
    assert states(ledger, "shots") == {"a": "done", "b": "failed", "c": "done", "d": "done"}
    entry = ledger.get("b")["shots"]
    assert (entry.reason, entry.detail) == ("truncated", "The file ends early. Upload it again.")
    shown = get_and_update_asset_status_cache_value(instance, dg.AssetKey("shots"), VIDEOS)
    assert shown.deserialize_materialized_partition_subsets(VIDEOS).get_partition_keys() == {"a", "c", "d"}
    assert shown.deserialize_failed_partition_subsets(VIDEOS).get_partition_keys() == {"b"}
    (seen,) = instance.fetch_observations(dg.AssetKey("shots"), limit=5).records
    assert (seen.partition_key, seen.asset_observation.metadata["failed"].value) == ("b", "truncated")
    failure = next(e for e in result.all_events if e.is_step_failure).step_failure_data
    assert "| b | `truncated` |" in failure.user_failure_data.metadata["failed"].value
    first, second = failure.user_failure_data.description.splitlines()
    assert first == "shots failed for b. The other videos of this run are done."
    assert second == "• b: truncated. The file ends early. Upload it again."
    assert seen.asset_observation.description == "Failed: The file ends early. Upload it again."


def test_a_failed_one_is_made_good_later_and_nothing_else_is_touched(ledger, instance):
    run([stage("shots", one_bad)], ledger, instance, "shots")
    before = {v: ledger.get(v)["shots"].updated_at for v in "acd"}
    assert run([stage("shots", good)], ledger, instance, "shots", ["b"]).success
    assert states(ledger, "shots") == dict.fromkeys(IDS, "done")
    assert {v: ledger.get(v)["shots"].updated_at for v in "acd"} == before


def test_an_error_that_nobody_foresaw_fails_one_video_too(ledger, instance):
    def broken(video_id: str) -> Outcome:
        return good(video_id) if video_id != "c" else 1 / 0

    assert not run([stage("shots", broken)], ledger, instance, "shots").success
    assert ledger.get("c")["shots"].reason == "ZeroDivisionError"
    assert [v for v, s in states(ledger, "shots").items() if s == "done"] == ["a", "b", "d"]


def test_what_is_not_the_videos_fault_stops_the_run_and_leaves_them_waiting(ledger, instance):
    def misconfigured(video_id: str) -> Outcome:
        raise ConfigError("Two settings do not fit.", cure="Change one.")

    assert not run([stage("shots", misconfigured, workers=1)], ledger, instance, "shots").success
    assert set(states(ledger, "shots").values()) == {"waiting"}
    assert "Change one" in ledger.get("a")["shots"].detail


def test_an_outage_blames_no_video_and_is_one_state_however_often_it_is_met(ledger, instance):
    def unreachable(video_id: str) -> Outcome:
        raise Outage("The archive could not read it.", cure="Is the S3 server up?")

    waiting = []
    for _ in range(3):
        assert not run([stage("shots", unreachable, workers=1)], ledger, instance, "shots").success
        entry = ledger.get("a")["shots"]
        assert (entry.state, entry.attempt) == ("waiting", 0) and "S3 server" in entry.detail
        waiting.append(waits_since(entry))
    assert len(set(waiting)) == 1
    assert run([stage("shots", good)], ledger, instance, "shots").success
    assert (ledger.get("a")["shots"].state, ledger.get("a")["shots"].reason) == ("done", "")


def test_a_dead_device_ends_the_run_and_the_next_goes_on_where_it_was(ledger, instance):
    """In this process nothing can use the device any more: no other video may be blamed for it."""
    dead = []

    def work(video_id: str) -> Outcome:
        if dead or video_id == "b":
            dead.append(video_id)
            raise ContextLost("The accelerator failed: CUDA error.", cure="Run it again.")
        return good(video_id)

    assert not run([stage("shots", work, workers=1)], ledger, instance, "shots").success
    entries = {v: ledger.get(v).get("shots") for v in IDS}
    assert (entries["a"].state, entries["b"].state, entries["b"].attempt) == ("done", "running", 1)
    assert all(e is None or (e.state, e.attempt) == ("waiting", 0) for v, e in entries.items() if v in "cd")
    assert [e.video_id for e in pending(ledger, "shots")] == ["b", "c", "d"]
    dead.clear()
    assert run([stage("shots", good)], ledger, instance, "shots", ["b", "c", "d"]).success
    assert states(ledger, "shots") == dict.fromkeys(IDS, "done")


def test_a_broken_rule_fails_the_video_and_its_check(ledger, instance):
    def crooked(video_id: str) -> Outcome:
        if video_id == "d":
            raise CheckFailed(SHOTS_TILE, "The shots end at frame 3 of 4.")
        return good(video_id)

    result = run([stage("shots", crooked)], ledger, instance, "shots")
    (evaluation,) = result.get_asset_check_evaluations()
    assert (evaluation.check_name, evaluation.passed) == (SHOTS_TILE, False)
    assert (evaluation.metadata["videos"].value, evaluation.metadata["failed"].value) == (4, 1)
    assert "| d | The shots end at frame 3 of 4. |" in evaluation.metadata["broke_it"].value
    assert ledger.get("d")["shots"].reason == SHOTS_TILE


def test_a_video_whose_upstream_is_missing_is_left_out(ledger, instance):
    ledger.put([LedgerEntry("b", "videos", "failed", reason="not_a_video")])
    assert run([stage("shots", good)], ledger, instance, "shots").success
    assert states(ledger, "shots") == {"a": "done", "c": "done", "d": "done"}


def test_another_result_puts_the_later_stages_back_and_the_same_result_does_not(ledger, instance):
    run([stage("shots", good)], ledger, instance, "shots")
    ledger.put(LedgerEntry(v, "keyframes", "done", fingerprint="k") for v in IDS)

    def changed(video_id: str) -> Outcome:
        return Outcome("other") if video_id == "a" else good(video_id)

    run([stage("shots", changed)], ledger, instance, "shots")
    assert [entry.video_id for entry in pending(ledger, "keyframes")] == ["a"]
    assert ledger.get("a")["keyframes"].detail == "shots changed"


def test_attempts_are_counted_until_one_succeeds(ledger, instance):
    ledger.put([LedgerEntry("a", "shots", "running", attempt=2)])  # two runs died
    seen = []

    def looks(video_id: str) -> Outcome:
        seen.append(ledger.get(video_id)["shots"].attempt)
        return good(video_id)

    run([stage("shots", looks)], ledger, instance, "shots", ["a"])
    assert seen == [3]
    assert ledger.get("a")["shots"].attempt == 0


# -- staleness, as Dagster's own resolver sees it ---------------------------------------------------------------------------


def stale_of(instance, assets, asset: str, video: str) -> tuple[StaleStatus, list[StaleCauseCategory]]:
    graph = dg.Definitions(assets=assets, resources={"ledger": object()}).resolve_asset_graph()
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    key = dg.AssetKey(asset)
    return resolver.get_status(key, video), [cause.category for cause in resolver.get_stale_causes(key, video)]


@pytest.fixture
def chain(ledger, instance):
    """videos → shots, both made by real runs."""
    assets = [stage("videos", lambda v: Outcome(f"file-{v}")), stage("shots", good)]
    run(assets, ledger, instance, "videos")
    run(assets, ledger, instance, "shots")
    return assets


def test_what_was_just_made_is_fresh(chain, instance):
    assert [stale_of(instance, chain, "shots", v) for v in IDS] == [(StaleStatus.FRESH, [])] * 4


def test_another_code_or_model_makes_it_stale(chain, instance):
    newer = [chain[0], stage("shots", good, code_version="2")]
    assert stale_of(instance, newer, "shots", "a") == (StaleStatus.STALE, [StaleCauseCategory.CODE])


def test_new_data_upstream_makes_only_that_video_stale(chain, ledger, instance):
    run([stage("videos", lambda v: Outcome("another file")), chain[1]], ledger, instance, "videos", ["a"])
    assert stale_of(instance, chain, "shots", "a") == (StaleStatus.STALE, [StaleCauseCategory.DATA])
    assert stale_of(instance, chain, "shots", "b") == (StaleStatus.FRESH, [])


def test_an_input_without_an_event_is_not_watched(chain, ledger, instance):
    """So the shards are kept: each depends on all videos, and the ledger knows better which of them is behind."""
    tags = version_tags("1", "x", {"videos": Input("file-a")})
    instance.report_runless_asset_event(dg.AssetMaterialization("shots", partition="a", tags=tags))
    run([stage("videos", lambda v: Outcome("another file")), chain[1]], ledger, instance, "videos", ["a"])
    assert stale_of(instance, chain, "shots", "a") == (StaleStatus.FRESH, [])


def test_how_far_a_child_is_stands_in_the_ledger_while_it_runs(ledger, monkeypatch):
    monkeypatch.setattr("assets.batch.PROGRESS_EVERY_S", 0.0)
    hear = progress_in(ledger, "shots", "a")
    hear({"pts_ms": 61_000})  # nothing is running: nothing is written
    assert "shots" not in ledger.get("a")
    ledger.put([LedgerEntry("a", "shots", "running", attempt=1)])
    hear({"pts_ms": 61_000})
    assert (ledger.get("a")["shots"].detail, ledger.get("a")["shots"].attempt) == ("at 1:01.000", 1)
