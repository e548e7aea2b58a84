"""Telling people: a run that failed, an audit that found something, a snapshot that went into service.

It is always logged; with KHUNG_ALERT_URL it is sent there too, as JSON whose `text` chat services show. What is told is read from the
run and the ledger; nothing here mends anything.
"""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import httpx

from khung.settings import Settings
from khung.stores import Ledger
from orchestration.faults import innermost
from orchestration.jobs import ASSET_JOBS, audit

RUNNING = dg.DefaultSensorStatus.RUNNING
TRIES = 3
PAUSE_S = 2.0
TIMEOUT_S = 10.0
NAMED = 20  # videos in one message


@dg.run_failure_sensor(
    default_status=RUNNING,
    minimum_interval_seconds=30,
    description="Tells people of runs that failed: which videos, why, and the cure.",
)
def alert_on_failure(
    context: dg.RunFailureSensorContext, ledger: dg.ResourceParam[Ledger], settings: dg.ResourceParam[Settings]
) -> None:
    """A run failed: on which videos and why, or that it was not a video's fault."""
    run = context.dagster_run
    steps = [event.event_specific_data for event in context.get_step_failure_events()]
    said = [_words(data) for data in steps]
    text = " ".join(filter(None, said)) or context.failure_event.message or "It ended without a word."
    began = _began(context, run.run_id)
    rows = [
        {"video": e.video_id, "stage": e.stage, "reason": e.reason, "detail": e.detail}
        for e in ledger.find(state="failed")
        if e.updated_at >= began
    ]
    lines = [f"• {row['video']} ({row['stage']}): {row['reason']} {row['detail']}" for row in rows[:NAMED]]
    tell(context, settings, "failed", "\n".join([f"khung: {run.job_name} failed. {text}", *lines]), videos=rows[:NAMED])


@dg.run_status_sensor(
    dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[audit],
    default_status=RUNNING,
    minimum_interval_seconds=30,
    description="Tells people what an audit has found.",
)
def alert_on_audit(context: dg.RunStatusSensorContext, settings: dg.ResourceParam[Settings]) -> None:
    """A check of what is in service did not pass: its run succeeds all the same."""
    records = context.instance.get_records_for_run(
        context.dagster_run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ).records
    found = [record.event_log_entry.dagster_event.event_specific_data for record in records]
    for check in (one for one in found if not one.passed):
        told = {name: str(value.value) for name, value in check.metadata.items() if value.value}
        text = f"khung: the audit {check.check_name} did not pass. " + "; ".join(f"{k}: {v}" for k, v in told.items())
        tell(context, settings, "audit", text, check=check.check_name, found=told)


@dg.run_status_sensor(
    dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[ASSET_JOBS["search_snapshot"]],
    default_status=RUNNING,
    minimum_interval_seconds=30,
    description="Tells people which videos can be found since the new snapshot.",
)
def tell_of_snapshots(context: dg.RunStatusSensorContext, settings: dg.ResourceParam[Settings]) -> None:
    """New videos can be found."""
    made = context.instance.get_records_for_run(
        context.dagster_run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION
    ).records
    for record in made:
        metadata = record.event_log_entry.dagster_event.step_materialization_data.materialization.metadata
        told = {
            name: metadata[name].value
            for name in ("snapshot", "videos", "frames", "added", "removed")
            if name in metadata
        }
        text = f"khung: snapshot {told['snapshot']} is in service: {told['videos']} videos; added {told.get('added', 'none')}."
        tell(context, settings, "published", text, **told)


def tell(context: dg.RunStatusSensorContext, settings: Settings, event: str, text: str, **more: Any) -> None:
    """Into the log, and to the address of the settings. One that does not answer is tried again and then only logged: what
    happened stays in Dagster and in the ledger."""
    (context.log.info if event == "published" else context.log.error)(text)
    if url := settings.alert_url.get_secret_value():
        run_id = context.dagster_run.run_id
        wrong = send(url, {"event": event, "text": text, "run_id": run_id, "job": context.dagster_run.job_name, **more})
        if wrong:
            context.log.error(f"KHUNG_ALERT_URL was not told: {wrong}")


def send(url: str, body: Mapping[str, Any]) -> str:
    """Empty when it arrived; else what was wrong at the last try, without the address, which may hold a secret."""
    wrong = ""
    for attempt in range(TRIES):
        time.sleep(PAUSE_S * attempt)
        try:
            answer = httpx.post(url, json=body, timeout=TIMEOUT_S, follow_redirects=False)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            wrong = type(error).__name__
            continue
        if answer.is_success:
            return ""
        wrong = f"it answered {answer.status_code}"
        if answer.status_code < 500 and answer.status_code != 429:  # it will not like it better the next time
            return wrong
    return wrong


def _words(step: Any) -> str:
    """Of a step that failed: what it said itself, or the error that nobody foresaw."""
    if step.user_failure_data and step.user_failure_data.description:
        return step.user_failure_data.description
    return innermost(step.error) if step.error else ""


def _began(context: dg.RunStatusSensorContext, run_id: str) -> str:
    """When the run began, as the ledger writes times."""
    record = context.instance.get_run_record_by_id(run_id)
    start = record.start_time if record and record.start_time else 0.0
    return datetime.fromtimestamp(start, UTC).isoformat(timespec="milliseconds")
