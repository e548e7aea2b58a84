"""Telling people: a run that failed, an audit that found something, a snapshot that went into service.

It is always logged; with KHUNG_ALERT_URL it is sent there too, as JSON whose `text` chat services show. What is told is read from the
run and the ledger; nothing here mends anything. The words are messages.py.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from khung.settings import Settings
from khung.stores import ALL_STAGES, Ledger
from khung.timecode import utc
from orchestration import messages
from orchestration.faults import innermost
from orchestration.jobs import ASSET_JOBS, audit
from orchestration.messages import Message
from orchestration.ranges import job_name

RUNNING = dg.DefaultSensorStatus.RUNNING
EVERY_S = 30


def after(job: Any, says: str) -> Callable[[Callable[..., None]], dg.SensorDefinition]:
    """A sensor that looks at each run of the job that ended well."""
    return dg.run_status_sensor(
        dg.DagsterRunStatus.SUCCESS,
        monitored_jobs=[job],
        default_status=RUNNING,
        minimum_interval_seconds=EVERY_S,
        description=says,
    )


@dg.run_failure_sensor(
    default_status=RUNNING,
    minimum_interval_seconds=EVERY_S,
    description="Tells people of runs that failed: which videos, why, and the cure.",
)
def alert_on_failure(
    context: dg.RunFailureSensorContext, ledger: dg.ResourceParam[Ledger], settings: dg.ResourceParam[Settings]
) -> None:
    """A run failed: on which videos and why, or that it was not a video's fault."""
    run = context.dagster_run
    steps = [event.event_specific_data for event in context.get_step_failure_events()]
    said = " ".join(filter(None, map(_words, steps))) or context.failure_event.message or "It ended without a word."
    began = _began(context, run.run_id)
    stage = next((stage for stage in ALL_STAGES if job_name(stage) == run.job_name), None)
    videos = [e for e in ledger.find(stage=stage, state="failed") if e.updated_at >= began]
    _tell(context, settings, messages.failed(run.job_name, said, videos))


@after(audit, "Tells people what an audit has found.")
def alert_on_audit(context: dg.RunStatusSensorContext, settings: dg.ResourceParam[Settings]) -> None:
    """A check of what is in service did not pass: its run succeeds all the same."""
    for check in _events(context, dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        if not check.passed:
            found = {
                name: str(value.value) for name, value in check.metadata.items() if value.value not in ("", "none")
            }
            _tell(context, settings, messages.audited(check.check_name, found))


@after(ASSET_JOBS["search_snapshot"], "Tells people which videos can be found since the new snapshot.")
def tell_of_snapshots(context: dg.RunStatusSensorContext, settings: dg.ResourceParam[Settings]) -> None:
    """New videos can be found."""
    for made in _events(context, dg.DagsterEventType.ASSET_MATERIALIZATION):
        _tell(context, settings, messages.published(made.materialization.metadata))


def _tell(context: dg.RunStatusSensorContext, settings: Settings, message: Message) -> None:
    """Into the log, and to the address of the settings."""
    (context.log.info if message["event"] == "published" else context.log.error)(message["text"])
    run = context.dagster_run
    if wrong := messages.send(settings, message, job=run.job_name, run_id=run.run_id):
        context.log.error(wrong)


def _events(context: dg.RunStatusSensorContext, kind: dg.DagsterEventType) -> list[Any]:
    """What the run's events of this kind say."""
    records = context.instance.get_records_for_run(context.dagster_run.run_id, of_type=kind).records
    return [record.event_log_entry.dagster_event.event_specific_data for record in records]


def _words(step: Any) -> str:
    """Of a step that failed: what it said itself, or the error that nobody foresaw."""
    if step.user_failure_data and step.user_failure_data.description:
        return step.user_failure_data.description.partition("\n")[0]  # the videos follow from the ledger
    return innermost(step.error) if step.error else ""


def _began(context: dg.RunStatusSensorContext, run_id: str) -> str:
    """When the run began, as the ledger writes times."""
    record = context.instance.get_run_record_by_id(run_id)
    start = record.start_time if record and record.start_time else 0.0
    return utc(datetime.fromtimestamp(start, UTC))
