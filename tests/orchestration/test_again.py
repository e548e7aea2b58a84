"""When a run is asked for again: after it failed, later and later; never after it did well or was cancelled."""

import dagster as dg
import pytest

from orchestration import again

STATUS = dg.DagsterRunStatus


def tried(instance: dg.DagsterInstance, asked: str, status: dg.DagsterRunStatus) -> None:
    instance.add_run(dg.DagsterRun(job_name="make_shots", status=status, tags={again.ASKED: asked}))


def test_the_first_time_it_is_asked_by_its_own_name(instance):
    assert again.key_now(instance, "first") == "first" and again.last_try(instance, "first") is None


@pytest.mark.parametrize("status", [STATUS.NOT_STARTED, STATUS.STARTED, STATUS.SUCCESS, STATUS.CANCELED])
def test_only_a_failure_is_asked_again(instance, status, monkeypatch):
    monkeypatch.setattr(again, "PAUSE_S", 0.0)
    tried(instance, status.value, status)
    assert again.key_now(instance, status.value) == "" and again.last_try(instance, status.value) == status


def test_each_pause_is_longer_and_each_key_another(instance, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(again.time, "time", lambda: now[0])
    asked, waited = "often", []
    for number in range(1, 10):
        tried(instance, asked, STATUS.FAILURE)
        ended = instance.get_run_records(dg.RunsFilter(tags={again.ASKED: asked}))[0].update_timestamp.timestamp()
        pause_s = min(again.PAUSE_S * 2 ** (number - 1), again.LONGEST_S)
        now[0] = ended + pause_s - 1
        assert again.key_now(instance, asked) == ""
        now[0] = ended + pause_s + 1
        assert again.key_now(instance, asked) == f"{asked}:{number}"
        waited.append(pause_s)
    assert waited == sorted(waited) and waited[-1] == again.LONGEST_S
