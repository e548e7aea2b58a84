"""What happens by the clock: at night, when nobody waits for a run."""

import dagster as dg

from orchestration.jobs import audit, collect_garbage_job

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
