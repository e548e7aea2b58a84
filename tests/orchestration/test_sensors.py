"""The sensors, by evaluation against a real instance, a real ledger and real files."""

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from kitchen import Kitchen, kitchen_in

from assets.batch import VIDEOS_A_RUN
from assets.catalog import Look
from assets.partitions import VIDEOS
from assets.recipe import model_kinds
from khung.errors import Outage
from khung.settings import Settings
from khung.shards.manifest import shard_of
from khung.stores import MAX_ATTEMPTS, LedgerEntry
from orchestration import again, arrivals, rest, sensors
from orchestration.ranges import job_name, range_tags, sync_partitions
from orchestration.turn import taken, turn

START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@pytest.fixture
def kitchen(instance: dg.DagsterInstance, tmp_path: Path) -> Kitchen:
    return kitchen_in(tmp_path, instance)


def tick(kitchen: Kitchen, sensor: dg.SensorDefinition) -> list[dg.RunRequest] | str:
    """The run requests of a tick, or why there are none."""
    context = dg.build_sensor_context(instance=kitchen.instance, resources=kitchen.plain)
    data = sensor.evaluate_tick(context)
    return data.run_requests or data.skip_message or ""


def drop(kitchen: Kitchen, name: str, data: bytes) -> Path:
    path = kitchen.settings.inbox_dir / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def unfinished(kitchen: Kitchen, asset: str, tags: dict[str, str]) -> dg.DagsterRun:
    return kitchen.instance.add_run(
        dg.DagsterRun(job_name=job_name(asset), status=dg.DagsterRunStatus.STARTED, tags=tags)
    )


def asked(requests: list[dg.RunRequest]) -> list[tuple[str, str, str]]:
    return [(request.job_name, request.tags[START], request.tags[END]) for request in requests]


# -- the inbox ------------------------------------------------------------------------------------------------------------


def test_a_file_gets_an_id_and_a_line_and_is_copied_by_no_sensor(kitchen):
    drop(kitchen, "Phố cổ “Hà Nội”.mp4", b"a video")
    assert "1 new or still growing" in tick(kitchen, sensors.inbox_sensor)
    assert "1 came in" in tick(kitchen, sensors.inbox_sensor)
    (entry,) = kitchen.ledger.find(stage="videos")
    assert (entry.video_id, entry.state) == ("Pho_co_Ha_Noi", "waiting")
    assert list(kitchen.library.archive.keys("media/")) == []


def test_the_same_content_under_another_name_is_linked(kitchen):
    drop(kitchen, "a.mp4", b"one content")
    drop(kitchen, "b.mp4", b"one content")
    tick(kitchen, sensors.inbox_sensor)
    assert "2 came in, 1 of these with the content of another" in tick(kitchen, sensors.inbox_sensor)
    assert {e.video_id: e.state for e in kitchen.ledger.find(stage="videos")} == {"a": "waiting", "b": "linked"}
    tick(kitchen, sensors.stages_sensor)
    assert kitchen.instance.get_dynamic_partitions(VIDEOS.name) == ["a"]


def test_two_videos_of_one_name_are_two_videos(kitchen):
    drop(kitchen, "monday/a.mp4", b"one")
    drop(kitchen, "tuesday/a.mp4", b"two")
    tick(kitchen, sensors.inbox_sensor)
    tick(kitchen, sensors.inbox_sensor)
    assert {e.video_id for e in kitchen.ledger.find(stage="videos")} == {"a", "a_2"}


def test_a_thousand_files_are_taken_in_bounded_ticks(kitchen):
    for number in range(1000):
        drop(kitchen, f"v{number:04}.mp4", f"video {number}".encode())
    assert "1000 new" in tick(kitchen, sensors.inbox_sensor)
    assert "500 came in" in tick(kitchen, sensors.inbox_sensor)
    assert "500 came in" in tick(kitchen, sensors.inbox_sensor)
    assert tick(kitchen, sensors.inbox_sensor) == "Files: nothing new."
    assert len(kitchen.ledger.find(stage="videos", state="waiting")) == 1000
    requests = tick(kitchen, sensors.stages_sensor)
    assert len(kitchen.instance.get_dynamic_partitions(VIDEOS.name)) == 1000
    assert asked(requests)[0] == ("make_videos", "v0000", "v0099")
    assert len(requests) == sensors.RUNS_A_TICK


def test_a_tick_ends_in_time(kitchen, monkeypatch):
    monkeypatch.setattr(sensors, "SECONDS_A_TICK", 0.0)
    for number in range(20):
        drop(kitchen, f"v{number}.mp4", f"video {number}".encode())
    tick(kitchen, sensors.inbox_sensor)
    said = tick(kitchen, sensors.inbox_sensor)
    assert "wait for the next look" in said
    assert "20 wait" in said


def test_a_file_too_large_for_a_tick_is_read_by_a_run(kitchen, monkeypatch):
    monkeypatch.setattr(sensors, "BYTES_A_FILE", 10)
    path = drop(kitchen, "large.mp4", b"more than ten bytes")
    tick(kitchen, sensors.inbox_sensor)
    (request,) = tick(kitchen, sensors.inbox_sensor)
    assert request.run_config["ops"]["register_files"]["config"]["paths"] == [str(path)]
    (again,) = tick(kitchen, sensors.inbox_sensor)  # a tick may be lost: the key keeps it from being launched twice
    assert again.run_key == request.run_key
    assert kitchen.run("register_files_job", tags=dict(request.tags), config=request.run_config).success
    assert "read by a run" not in tick(kitchen, sensors.inbox_sensor)
    assert kitchen.ledger.get("large")["videos"].state == "waiting"
    assert "read by a run" not in tick(kitchen, sensors.inbox_sensor)


def test_a_file_that_cannot_be_read_comes_up_again_when_its_rights_change(kitchen, monkeypatch):
    path = drop(kitchen, "locked.mp4", b"a video")
    tick(kitchen, sensors.inbox_sensor)
    with monkeypatch.context() as patched:  # the tests may run as root, whom no right stops
        patched.setattr("ops.intake.file_sha256", _refuse)
        assert "1 cannot be read" in tick(kitchen, sensors.inbox_sensor)
    assert "cannot be read" not in tick(kitchen, sensors.inbox_sensor)
    path.chmod(0o600)
    tick(kitchen, sensors.inbox_sensor)
    assert "1 came in" in tick(kitchen, sensors.inbox_sensor)


def _refuse(path: Path) -> str:
    raise PermissionError(13, "Permission denied")


# -- the first ones of an idle kitchen ------------------------------------------------------------------------------------


def arrive(kitchen: Kitchen, *names: str) -> None:
    for name in names:
        drop(kitchen, f"{name}.mp4", name.encode())
    for _ in range(2):
        tick(kitchen, sensors.inbox_sensor)


def test_a_few_small_new_videos_get_one_run_for_all_stages(kitchen, monkeypatch):
    kitchen.stock("old")
    assert tick(kitchen, arrivals.arrivals_sensor) == "Nothing is new."
    arrive(kitchen, "a", "b")
    (request,) = tick(kitchen, arrivals.arrivals_sensor)
    assert request.run_config == {"videos": ["a", "b"]}
    assert kitchen.instance.get_dynamic_partitions(VIDEOS.name) == ["old", "a", "b"]
    assert "Left to one run" in tick(kitchen, sensors.stages_sensor)
    monkeypatch.setattr(arrivals, "HEAD_START", timedelta(0))
    assert asked(tick(kitchen, sensors.stages_sensor)) == [("make_videos", "a", "b")]


def test_what_one_run_did_not_bring_to_its_end_goes_on_stage_by_stage(kitchen, monkeypatch):
    arrive(kitchen, "a")
    (request,) = tick(kitchen, arrivals.arrivals_sensor)
    tags = {again.ASKED: request.tags[again.ASKED]}
    run = kitchen.instance.add_run(
        dg.DagsterRun(job_name="process_selection", status=dg.DagsterRunStatus.STARTED, tags=tags)
    )
    assert "at work" in tick(kitchen, arrivals.arrivals_sensor)
    kitchen.instance.report_run_failed(run)
    monkeypatch.setattr(again, "PAUSE_S", 0.0)
    assert "stage by stage" in tick(kitchen, arrivals.arrivals_sensor)
    monkeypatch.setattr(arrivals, "HEAD_START", timedelta(0))
    assert asked(tick(kitchen, sensors.stages_sensor)) == [("make_videos", "a", "a")]


@pytest.mark.parametrize("why", ["many", "large", "gone", "work pending", "work at hand", "two large models"])
def test_otherwise_new_videos_go_stage_by_stage_at_once(kitchen, monkeypatch, why):
    arrive(kitchen, *(f"v{number:02}" for number in range(arrivals.FEW + (why == "many"))))
    if why == "large":
        monkeypatch.setattr(arrivals, "FEW_BYTES", arrivals.FEW * len("v00") - 1)
    if why == "gone":
        (kitchen.settings.inbox_dir / "v00.mp4").unlink()
    if why.startswith("work"):
        kitchen.stock("old", upto="videos")
    if why == "work at hand":
        unfinished(kitchen, "shots", range_tags(["old"]))
    if why == "two large models":
        monkeypatch.setattr(arrivals, "model_kinds", lambda _: model_kinds(Settings(profile="gpu", _env_file=None)))
    assert "stage by stage" in tick(kitchen, arrivals.arrivals_sensor)
    assert ("make_videos", "v00") in [one[:2] for one in asked(tick(kitchen, sensors.stages_sensor))]


# -- the stages -----------------------------------------------------------------------------------------------------------


def test_each_stage_gets_runs_over_ranges_and_what_was_begun_comes_first(kitchen):
    kitchen.stock("a", "b", upto="videos")
    kitchen.stock("c", "d", upto="keyframes")
    assert asked(tick(kitchen, sensors.stages_sensor)) == [
        ("make_descriptions", "c", "d"),
        ("make_embeddings", "c", "d"),
        ("make_shots", "a", "b"),
    ]


def test_a_model_is_not_loaded_for_a_few_while_more_are_about_to_come(kitchen):
    kitchen.stock("a", upto="videos")
    kitchen.stock("b", upto="shots")
    assert asked(tick(kitchen, sensors.stages_sensor)) == [("make_shots", "a", "a")]
    unfinished(kitchen, "shots", range_tags(["a"]))
    assert tick(kitchen, sensors.stages_sensor) == "Nothing is pending."
    many = [f"v{number}" for number in range(VIDEOS_A_RUN["keyframes"])]
    kitchen.stock(*many, upto="shots")
    assert ("make_keyframes", "b", many[-2]) in asked(tick(kitchen, sensors.stages_sensor))


def test_a_failed_video_splits_the_range_and_is_not_asked_again(kitchen):
    kitchen.stock("a", "b", "c", upto="videos")
    kitchen.ledger.put([LedgerEntry("b", "shots", "failed", reason="truncated")])
    assert asked(tick(kitchen, sensors.stages_sensor)) == [("make_shots", "a", "a"), ("make_shots", "c", "c")]


def test_a_video_that_is_not_ready_does_not_split_it(kitchen):
    kitchen.stock("a", "b", "c", upto="videos")
    kitchen.ledger.put([LedgerEntry("b", "videos", "failed", reason="empty_file")])
    assert asked(tick(kitchen, sensors.stages_sensor)) == [("make_shots", "a", "c")]


def test_what_an_unfinished_run_has_is_not_asked_again(kitchen):
    kitchen.stock("a", "b", "c", upto="videos")
    unfinished(kitchen, "shots", range_tags(["a", "b"]))
    assert asked(tick(kitchen, sensors.stages_sensor)) == [("make_shots", "c", "c")]


def test_what_a_run_ends_during_the_look_is_not_asked_again(kitchen, monkeypatch):
    kitchen.stock("a", upto="videos")
    run, looked = unfinished(kitchen, "shots", range_tags(["a"])), sensors.in_flight

    def ended_meanwhile(*asked: object) -> set[str]:
        kitchen.ledger.put([LedgerEntry("a", "shots", "done", fingerprint="x")])
        kitchen.instance.report_run_failed(kitchen.instance.get_run_by_id(run.run_id))
        return looked(*asked)

    monkeypatch.setattr(sensors, "in_flight", ended_meanwhile)
    assert asked(tick(kitchen, sensors.stages_sensor)) == [("make_keyframes", "a", "a")]


def test_the_same_state_asks_with_the_same_key_and_another_state_with_another(kitchen):
    kitchen.stock("a", upto="videos")
    first, again = tick(kitchen, sensors.stages_sensor), tick(kitchen, sensors.stages_sensor)
    assert first[0].run_key == again[0].run_key
    kitchen.ledger.put([LedgerEntry("a", "shots", "waiting")])
    assert tick(kitchen, sensors.stages_sensor)[0].run_key != first[0].run_key


def test_a_run_that_died_is_asked_again_three_times_at_most(kitchen):
    kitchen.stock("a", upto="videos")
    for attempt, expected in ((1, True), (2, True), (3, False)):
        kitchen.ledger.put([LedgerEntry("a", "shots", "running", attempt=attempt)])
        assert isinstance(tick(kitchen, sensors.stages_sensor), list) is expected


def test_what_a_run_left_pending_that_failed_too_early_is_asked_for_again(kitchen, monkeypatch):
    kitchen.stock("a", upto="videos")
    (request,) = tick(kitchen, sensors.stages_sensor)
    failed(kitchen, request)
    assert tick(kitchen, sensors.stages_sensor) == "Nothing is pending."
    monkeypatch.setattr(again, "PAUSE_S", 0.0)
    (second,) = tick(kitchen, sensors.stages_sensor)
    assert second.run_key not in (request.run_key, None) and second.tags[again.ASKED] == request.tags[again.ASKED]


def failed(kitchen: Kitchen, request: dg.RunRequest) -> None:
    """A run of this request that ended before it touched anything."""
    kitchen.instance.add_run(
        dg.DagsterRun(job_name=request.job_name or "", status=dg.DagsterRunStatus.FAILURE, tags=dict(request.tags))
    )


def test_a_partition_goes_when_the_ledger_has_forgotten_its_video(kitchen):
    kitchen.stock("a", "b", "c")
    kitchen.ledger.forget("b")
    assert sync_partitions(kitchen.instance, kitchen.ledger) == ["a", "c"]
    assert kitchen.instance.get_dynamic_partitions(VIDEOS.name) == ["a", "c"]


def test_a_link_is_never_processed(kitchen):
    kitchen.ledger.put([LedgerEntry("b", "videos", "linked")])
    assert tick(kitchen, sensors.stages_sensor) == "Nothing is pending."
    assert kitchen.instance.get_dynamic_partitions(VIDEOS.name) == []


def test_a_selection_at_work_is_left_alone(kitchen):
    kitchen.stock("a", upto="videos")
    kitchen.instance.add_run(dg.DagsterRun(job_name="process_selection", status=dg.DagsterRunStatus.STARTED))
    assert "selection is at work" in tick(kitchen, sensors.stages_sensor)


# -- at rest ----------------------------------------------------------------------------------------------------------------


def ticks(kitchen: Kitchen, sensor: dg.SensorDefinition) -> Callable[[], list[dg.RunRequest] | str]:
    """Tick after tick of one daemon: each knows the cursor that the last one left."""
    cursor = [""]

    def one() -> list[dg.RunRequest] | str:
        context = dg.build_sensor_context(instance=kitchen.instance, resources=kitchen.plain, cursor=cursor[0])
        data = sensor.evaluate_tick(context)
        cursor[0] = data.cursor or ""
        return data.run_requests or data.skip_message or ""

    return one


def test_sensors_rest_until_something_changes_or_a_minute_has_passed(kitchen, monkeypatch):
    kitchen.stock("a")
    made = [run for sensor in (sensors.shards_sensor, sensors.snapshot_sensor) for run in make(kitchen, sensor)]
    assert len(made) == 2 and all(run.success for run in made)
    every = [
        ticks(kitchen, sensor) for sensor in (sensors.stages_sensor, sensors.shards_sensor, sensors.snapshot_sensor)
    ]
    read = []
    monkeypatch.setattr(Look, "find", lambda self, **asked: read.append(asked) or self._ledger.find(**asked))

    def looked() -> list[bool]:
        """Which of them read the ledger; none has anything to ask for."""
        found = []
        for look in every:
            read.clear()
            assert isinstance(look(), str)
            found.append(bool(read))
        return found

    assert [looked(), looked(), looked()] == [[True] * 3, [False] * 3, [False] * 3]
    time.sleep(0.005)  # a change of the same moment may be missed
    kitchen.ledger.put([LedgerEntry("broken", "videos", "failed", reason="empty_file")])
    assert [looked(), looked()] == [[True] * 3, [False] * 3]
    monkeypatch.setattr(rest, "REST_S", 0.0)
    assert looked() == [True] * 3


def test_no_sensor_rests_while_something_waits(kitchen, monkeypatch):
    kitchen.stock("a", upto="videos")
    look = ticks(kitchen, sensors.stages_sensor)
    (request,) = look()
    failed(kitchen, request)
    assert (
        look() == look() == "Nothing is pending."
    )  # it is asked for again after a pause, and the ledger does not say when
    monkeypatch.setattr(again, "PAUSE_S", 0.0)
    assert asked(look()) == [("make_shots", "a", "a")]


def test_a_rollback_ends_the_rest(kitchen):
    kitchen.stock("a")
    make(kitchen, sensors.shards_sensor), make(kitchen, sensors.snapshot_sensor)
    kitchen.stock("b", seed=1)
    make(kitchen, sensors.shards_sensor), make(kitchen, sensors.snapshot_sensor)
    look = ticks(kitchen, sensors.snapshot_sensor)
    assert (look(), look()) == (
        "The newest shards are in service.",
        "Nothing has changed since there was nothing to do.",
    )
    assert kitchen.run("roll_back_job").success
    assert "Rolled back" in look()


def _hold(settings: Settings, got, release) -> None:
    with turn(settings):
        got.set()
        release.wait(60)


def test_while_ingest_works_in_its_process_the_sensors_wait(kitchen):
    kitchen.stock("a", upto="videos")
    fresh = multiprocessing.get_context("spawn")
    got, release = fresh.Event(), fresh.Event()
    holder = fresh.Process(target=_hold, args=(kitchen.settings, got, release))
    holder.start()
    assert got.wait(60)
    for sensor in (sensors.stages_sensor, sensors.shards_sensor, sensors.snapshot_sensor):
        assert "at work" in tick(kitchen, sensor) or "in the making" in tick(kitchen, sensor)
    holder.kill()  # the kernel lets go of the lock, however the process ends
    holder.join()
    assert not taken(kitchen.settings)
    assert isinstance(tick(kitchen, sensors.stages_sensor), list)


# -- shards and snapshot --------------------------------------------------------------------------------------------------


def make(kitchen: Kitchen, sensor: dg.SensorDefinition) -> list[dg.ExecuteInProcessResult]:
    """What the daemon would do with a tick."""
    requests = tick(kitchen, sensor)
    name = sensor.job_name if hasattr(sensor, "job_name") else None
    return [kitchen.run(r.job_name or name, tags=dict(r.tags)) for r in requests] if isinstance(requests, list) else []


def test_from_results_to_a_snapshot_and_again_after_a_change(kitchen):
    kitchen.stock("a", "b", "c")
    results = make(kitchen, sensors.shards_sensor)
    assert results and all(result.success for result in results)
    assert make(kitchen, sensors.shards_sensor) == []
    (published,) = make(kitchen, sensors.snapshot_sensor)
    assert published.success
    assert tick(kitchen, sensors.snapshot_sensor) == "The newest shards are in service."

    kitchen.stock("b", seed=1)  # another model, other vectors
    kitchen.ledger.put([replace(kitchen.ledger.get("b")["shard_indices"], state="waiting")])
    (resealed,) = tick(kitchen, sensors.shards_sensor)
    assert resealed.tags[START] == resealed.tags[END]
    kitchen.run("make_shard_indices", tags=dict(resealed.tags))
    assert len(tick(kitchen, sensors.snapshot_sensor)) == 1


def test_a_publishing_that_failed_is_tried_again_a_while_later(kitchen, monkeypatch):
    kitchen.stock("a")
    make(kitchen, sensors.shards_sensor)
    (request,) = tick(kitchen, sensors.snapshot_sensor)
    failed(kitchen, request)
    assert "tried again" in tick(kitchen, sensors.snapshot_sensor)
    monkeypatch.setattr(again, "PAUSE_S", 0.0)
    (published,) = make(kitchen, sensors.snapshot_sensor)
    assert published.success
    assert tick(kitchen, sensors.snapshot_sensor) == "The newest shards are in service."


def test_a_shard_that_met_an_outage_waits_and_is_asked_for_a_while_later(kitchen, monkeypatch):
    kitchen.stock("a")
    with monkeypatch.context() as down:
        down.setattr("khung.shards.shelf.Shelf.keep", _unreachable)
        (result,) = make(kitchen, sensors.shards_sensor)
        assert not result.success and kitchen.ledger.get("a")["shard_indices"].state == "waiting"
        (result,) = make(kitchen, sensors.shards_sensor)  # by another name: it waits for the server now
        assert not result.success
        assert isinstance(tick(kitchen, sensors.shards_sensor), str)
    monkeypatch.setattr(again, "PAUSE_S", 0.0)
    (result,) = make(kitchen, sensors.shards_sensor)
    assert result.success and kitchen.ledger.get("a")["shard_indices"].state == "done"


def _unreachable(*_: object) -> None:
    raise Outage("The archive could not write it.", cure="Is the S3 server up?")


def test_a_shard_that_kills_its_runs_is_left_for_people_after_three(kitchen, monkeypatch):
    kitchen.stock("a")
    monkeypatch.setattr("assets.shard_indices.seal", _die)
    for _ in range(MAX_ATTEMPTS):
        (result,) = make(kitchen, sensors.shards_sensor)
        assert not result.success
    assert isinstance(tick(kitchen, sensors.shards_sensor), str)
    assert kitchen.ledger.get("a")["shard_indices"].attempt == MAX_ATTEMPTS
    monkeypatch.undo()
    assert kitchen.run("make_shard_indices", tags=range_tags(["00", "15"])).success  # a person has asked for it
    assert kitchen.ledger.get("a")["shard_indices"].attempt == 0


def _die(*_: object, **__: object) -> None:
    raise MemoryError("as if the process had ended here")


def test_one_run_seals_shards_with_nothing_between_them(kitchen):
    kitchen.stock("a", "b", "c", "d")
    requests = tick(kitchen, sensors.shards_sensor)
    assert len(requests) == 1
    assert kitchen.run("make_shard_indices", tags=dict(requests[0].tags)).success
    assert len(kitchen.ledger.find(stage="shard_indices", state="done")) == 4
    kitchen.ledger.put([replace(kitchen.ledger.get(v)["shard_indices"], state="waiting") for v in ends_of("abcd")])
    assert len(tick(kitchen, sensors.shards_sensor)) == 2  # what is sealed between them is left alone


def ends_of(videos: str) -> tuple[str, str]:
    """Those in the first and in the last shard."""
    ordered = sorted(videos, key=lambda video: shard_of(video, 16))
    return ordered[0], ordered[-1]


def same_shard(count: int) -> list[str]:
    """Ids that fall into one shard."""
    return [name for name in (f"v{i}" for i in range(2000)) if shard_of(name, 16) == 5][:count]


def test_a_shard_waits_for_its_new_videos_but_not_for_ever(kitchen, monkeypatch):
    done, coming = same_shard(2)
    kitchen.stock(done)
    kitchen.stock(coming, upto="keyframes")
    assert "still at work" in tick(kitchen, sensors.shards_sensor)
    monkeypatch.setattr(sensors, "PATIENCE", timedelta(0))
    assert len(tick(kitchen, sensors.shards_sensor)) == 1


def test_a_shard_never_drops_a_video_that_is_made_again(kitchen, monkeypatch):
    monkeypatch.setattr(sensors, "PATIENCE", timedelta(0))
    served, new = same_shard(2)
    kitchen.stock(served)
    make(kitchen, sensors.shards_sensor)
    kitchen.stock(new)
    kitchen.ledger.put([replace(kitchen.ledger.get(served)["embeddings"], state="waiting")])
    assert "still at work" in tick(kitchen, sensors.shards_sensor)


def test_after_a_rollback_nothing_is_published_by_itself(kitchen):
    kitchen.stock("a")
    make(kitchen, sensors.shards_sensor)
    make(kitchen, sensors.snapshot_sensor)
    kitchen.stock("b")
    make(kitchen, sensors.shards_sensor)
    make(kitchen, sensors.snapshot_sensor)
    assert kitchen.run("roll_back_job").success
    assert "Rolled back" in tick(kitchen, sensors.snapshot_sensor)
    assert kitchen.run("make_search_snapshot").success
    assert tick(kitchen, sensors.snapshot_sensor) == "The newest shards are in service."
