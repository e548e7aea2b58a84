"""A few small new videos, while there is nothing else to do: they go through all their stages in one run (docs/decisions/0006).

A process for each stage would take longer to start than the work takes. The run is that of a selection (selection.py); what it
does not bring to its end, the sensor of the stages (sensors.py) asks for as ever.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.storage.tags import PRIORITY_TAG

from assets.catalog import VIDEO_STAGES, Look, pending
from assets.recipe import model_kinds
from assets.versions import digest
from khung.errors import KhungError
from khung.settings import Settings
from khung.stores import Ledger, LedgerEntry
from khung.stores.library import Library
from khung.stores.sources import get_source
from khung.stores.waiting import waits_since
from khung.timecode import utc
from orchestration.again import last_try, request
from orchestration.jobs import PRIORITY
from orchestration.ranges import in_flight, selection_at_work, sync_partitions
from orchestration.rest import BEAT_S
from orchestration.turn import taken

FEW, FEW_BYTES = 8, 128 * 2**20
"""So many new videos, together no larger."""
HEAD_START = timedelta(seconds=45)
"""So long the stages leave them to that run; then they are asked for stage by stage, whatever became of it."""
MORE = "There is more to do than a few small new videos: it is done stage by stage."


@dg.sensor(
    job_name="process_selection",
    minimum_interval_seconds=BEAT_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for one run through all stages for a few small new videos, while there is nothing else to do.",
)
def arrivals_sensor(
    context: dg.SensorEvaluationContext,
    ledger: dg.ResourceParam[Ledger],
    library: dg.ResourceParam[Library],
    settings: dg.ResourceParam[Settings],
) -> dg.SensorResult | dg.SkipReason:
    """A few small new videos get one run for all their stages: starting one for each would take longer than the work."""
    if not (new := ledger.find(stage="videos", state="waiting")):
        return dg.SkipReason("Nothing is new.")
    if len(new) > FEW:  # known already, before a look at all the rest
        return dg.SkipReason(MORE)
    if taken(settings) or selection_at_work(context.instance):
        return dg.SkipReason("khung ingest or a selection is at work.")
    keys = sync_partitions(context.instance, ledger)
    at_work = any(in_flight(context.instance, stage, keys) for stage in VIDEO_STAGES)
    few = [] if at_work else _few_new(Look(ledger), library, settings)
    asked = f"few:{digest(*((entry.video_id, waits_since(entry)) for entry in few))}"
    if not few or last_try(context.instance, asked):
        return dg.SkipReason(MORE)
    named = {"videos": [entry.video_id for entry in few]}
    return dg.SensorResult(
        run_requests=request(context.instance, asked, tags={PRIORITY_TAG: PRIORITY["preview"]}, run_config=named)
    )


def left_to_one_run(look: Look, library: Library, settings: Settings) -> bool:
    """Is all that is pending a few new videos, for which the one run may still be on its way? Nothing may be at work."""
    few, young = _few_new(look, library, settings), utc(datetime.now(UTC) - HEAD_START)
    return bool(few) and all(waits_since(entry) > young for entry in few)


def _few_new(look: Look, library: Library, settings: Settings) -> list[LedgerEntry]:
    """The new videos, when they are few and small and all that is pending. None when one run would load two large models."""
    new = pending(look, "videos")
    if not 0 < len(new) <= FEW or "pytorch" in model_kinds(settings)["descriptions"]:
        return []
    if any(pending(look, stage) for stage in VIDEO_STAGES[1:]):
        return []
    try:
        sizes = [Path(get_source(library.archive, entry.video_id).path).stat().st_size for entry in new]
    except (OSError, KhungError):  # the run of their first stage tells why
        return []
    return new if sum(sizes) <= FEW_BYTES else []
