"""What happens by the clock: at night, when nobody waits for a run."""

import dagster as dg

from assets.notes import part_described
from assets.vectors import queued
from khung.stores import Ledger
from orchestration.describe_again import describe_again_job
from orchestration.embed_again import embed_again_job
from orchestration.jobs import audit, collect_garbage_job
from orchestration.selection import process_selection

collect_nightly = dg.ScheduleDefinition(
    name="collect_nightly",
    job=collect_garbage_job,
    cron_schedule="30 3 * * *",
    execution_timezone="Asia/Ho_Chi_Minh",
    description="Remove what nothing needs any more.",
)

audit_nightly = dg.ScheduleDefinition(
    name="audit_nightly",
    job=audit,
    cron_schedule="0 4 * * *",
    execution_timezone="Asia/Ho_Chi_Minh",
    description="Compare ledger, archive and the snapshot in service, and ask the canary questions again.",
)


@dg.schedule(
    name="embed_again_nightly",
    job=embed_again_job,
    cron_schedule="0 2 * * *",
    execution_timezone="Asia/Ho_Chi_Minh",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Try the embedder again on the frames that had to fall back, if there are any.",
)
def embed_again_nightly(ledger: dg.ResourceParam[Ledger]) -> dg.RunRequest | dg.SkipReason:
    """Try the embedder again on the frames that had to fall back, if there are any."""
    videos = queued(ledger.find(stage="embeddings", state="done"))
    return dg.RunRequest() if videos else dg.SkipReason("Every frame has its vector in the embedder's own space.")


@dg.schedule(
    name="describe_again_nightly",
    job=describe_again_job,
    cron_schedule="30 2 * * *",
    execution_timezone="Asia/Ho_Chi_Minh",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Ask again for the frames that the describer or the reader of text failed on, if there are any.",
)
def describe_again_nightly(ledger: dg.ResourceParam[Ledger]) -> dg.RunRequest | dg.SkipReason:
    """Ask again for the frames that the describer or the reader of text failed on, if there are any."""
    videos = part_described(ledger.find(stage="descriptions", state="done"))
    return dg.RunRequest() if videos else dg.SkipReason("Every frame has its description and its text.")


refresh_nightly = dg.ScheduleDefinition(
    name="refresh_nightly",
    job=process_selection,
    run_config={"stale": True, "most": 200},
    cron_schedule="0 22 * * *",
    execution_timezone="Asia/Ho_Chi_Minh",
    description="After a change of code, settings or model: 200 videos a night are made again by the present recipe.",
)
