"""Alerts: a failed run, an audit that found something, a new snapshot; told to a real server, and never at the cost of a run."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from awkward_files import clip
from ear import Ear, listening
from kitchen import Kitchen, kitchen_in
from pydantic import SecretStr

from khung.settings import Settings
from khung.stores import LedgerEntry
from ops.intake import register
from orchestration import alerts, messages
from orchestration.ranges import range_tags, sync_partitions


@pytest.fixture
def ear() -> Iterator[Ear]:
    with listening() as ear:
        yield ear


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(messages, "PAUSE_S", 0.0)


@pytest.fixture
def kitchen(instance, tmp_path: Path) -> Kitchen:
    return kitchen_in(tmp_path, instance)


def settings_of(kitchen: Kitchen, ear: Ear) -> Settings:
    return kitchen.settings.model_copy(update={"alert_url": SecretStr(ear.url)})


def context_of(
    kitchen: Kitchen, result: dg.ExecuteInProcessResult, kind: str, sensor: str
) -> dg.RunStatusSensorContext:
    event = next(e for e in result.all_events if e.event_type_value == kind)
    return dg.build_run_status_sensor_context(
        sensor_name=sensor, dagster_instance=kitchen.instance, dagster_run=result.dagster_run, dagster_event=event
    )


def test_a_failed_run_names_its_videos_and_why(kitchen, ear, tmp_path):
    (tmp_path / "letter.mp4").write_text("no film")
    for path in (tmp_path / "letter.mp4", clip(tmp_path / "good.mp4", 20)):
        register(path, kitchen.ledger, kitchen.library)
    keys = sync_partitions(kitchen.instance, kitchen.ledger)
    result = kitchen.run("make_videos", tags=range_tags(keys))
    context = context_of(kitchen, result, "PIPELINE_FAILURE", "alert_on_failure").for_run_failure()
    alerts.alert_on_failure(context, ledger=kitchen.ledger, settings=settings_of(kitchen, ear))
    (told,) = ear.heard
    assert (told["event"], told["job"], told["run_id"]) == ("failed", "make_videos", result.run_id)
    assert [(v["video"], v["reason"]) for v in told["videos"]] == [("letter", "not_a_video")]
    assert "letter (videos): not_a_video" in told["text"] and told["text"].count("Convert it") == 1


def test_failures_of_other_stages_are_not_laid_at_a_run_s_door(kitchen, ear, tmp_path):
    (tmp_path / "letter.mp4").write_text("no film")
    register(tmp_path / "letter.mp4", kitchen.ledger, kitchen.library)
    result = kitchen.run("make_videos", tags=range_tags(sync_partitions(kitchen.instance, kitchen.ledger)))
    kitchen.ledger.put([LedgerEntry("another", "shots", "failed", "truncated", "meanwhile, in another run")])
    context = context_of(kitchen, result, "PIPELINE_FAILURE", "alert_on_failure").for_run_failure()
    alerts.alert_on_failure(context, ledger=kitchen.ledger, settings=settings_of(kitchen, ear))
    assert [v["video"] for v in ear.heard[0]["videos"]] == ["letter"]


def test_an_audit_that_found_something(kitchen, ear):
    kitchen.stock("a")
    for job, tags in (("make_shard_indices", range_tags(["00", "15"])), ("make_search_snapshot", {})):
        assert kitchen.run(job, tags=tags).success
    kitchen.stock("b")  # done, and not published
    result = kitchen.run("audit")
    context = context_of(kitchen, result, "PIPELINE_SUCCESS", "alert_on_audit")
    alerts.alert_on_audit(context, settings=settings_of(kitchen, ear))
    (told,) = [one for one in ear.heard if one["check"] == "library_agrees"]
    assert told["event"] == "audit" and told["found"]["missing"] == "b"


def test_a_new_snapshot_is_told(kitchen, ear):
    kitchen.stock("a")
    kitchen.run("make_shard_indices", tags=range_tags(["00", "15"]))
    result = kitchen.run("make_search_snapshot")
    context = context_of(kitchen, result, "PIPELINE_SUCCESS", "tell_of_snapshots")
    alerts.tell_of_snapshots(context, settings=settings_of(kitchen, ear))
    (told,) = ear.heard
    assert (told["event"], told["videos"], told["added"]) == ("published", 1, "1: a")
    assert told["search_page"] == "http://127.0.0.1:8000/" and told["search_page"] in told["text"]


@pytest.mark.parametrize(("answers", "times", "wrong"), [([503], 2, ""), ([503] * 9, 3, "503"), ([404], 1, "404")])
def test_who_does_not_answer_is_asked_again_who_refuses_is_not(ear, answers, times, wrong):
    ear.answers = answers
    said = messages.post(ear.url, {"text": "x"})
    assert len(ear.heard) == times and wrong in said and bool(said) is bool(wrong)


def test_an_address_where_nobody_is_harms_nothing_and_is_not_told():
    said = messages.post("http://127.0.0.1:1/secret", {"text": "x"})
    assert said == "ConnectError"
