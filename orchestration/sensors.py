"""The sensors: they look at the inbox and at the ledger and ask for runs; they compute nothing.

The ledger is the truth. A tick that fails or is lost is made good by the next, because each asks only what is pending now;
what is pending still after its run has failed is asked for again (again.py).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.storage.tags import PRIORITY_TAG

from assets.batch import VIDEOS_A_RUN
from assets.catalog import (
    NEEDS,
    VIDEO_STAGES,
    Look,
    dirty_shards,
    empty_shards,
    heads,
    in_service,
    pending,
    sealable,
    unready,
)
from assets.partitions import SHARDS
from assets.versions import digest
from khung.settings import Settings
from khung.shards.shelf import Shelf
from khung.shards.writer import open_manifest
from khung.stores import Ledger
from khung.stores.library import Library
from khung.stores.waiting import waits_since
from khung.timecode import utc
from ops.intake import register_all
from orchestration.again import last_try, request
from orchestration.arrivals import left_to_one_run
from orchestration.inbox import Arrival, Inbox
from orchestration.jobs import ASSET_JOBS, PRIORITY
from orchestration.ranges import in_flight, job_name, range_tags, ranges, selection_at_work, sync_partitions
from orchestration.rest import BEAT_S, UNCHANGED, at_rest, rest
from orchestration.turn import taken

STILL_S = 15  # a file that has been the same for so long is there as a whole
FILES_A_TICK = 500
SECONDS_A_TICK = 20.0  # of hashing; Dagster gives a tick 60
BYTES_A_FILE = 8 * 2**30  # a larger file is read by a run, which may take its time
RUNS_A_TICK = 8
PATIENCE = timedelta(minutes=5)
"""So long a shard waits for the stages of its other videos before it is sealed without them."""

FIRST, LAST = "preview", "playable_copies"
IN_ORDER = (FIRST, *(stage for stage in reversed(VIDEO_STAGES) if stage not in (FIRST, LAST)), LAST)


def inbox_of(settings: Settings) -> Inbox:
    return Inbox(settings.inbox_dir, settings.home / "inbox.sqlite")


@dg.sensor(
    job_name="register_files_job",
    minimum_interval_seconds=STILL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Takes note of new files in the inbox folder, once they have stopped growing.",
)
def inbox_sensor(
    context: dg.SensorEvaluationContext,
    ledger: dg.ResourceParam[Ledger],
    library: dg.ResourceParam[Library],
    settings: dg.ResourceParam[Settings],
) -> dg.SensorResult | dg.SkipReason:
    """New files in the inbox folder get a video id and a line in the ledger, once they have stopped growing."""
    inbox = inbox_of(settings)
    ready, growing = inbox.look()
    large = [a for a in ready if a.size_bytes > BYTES_A_FILE]
    taken: list[Arrival] = []
    known, unreadable = register_all(_while_there_is_time(ready, taken), ledger, library)
    for error in unreadable.values():
        context.log.warning(str(error))
    by_runs = [a for a in large if last_try(context.instance, _asked_for(a)) == dg.DagsterRunStatus.SUCCESS]
    inbox.taken([*taken, *by_runs])
    if requests := [r for a in large if a not in by_runs for r in _register_later(context.instance, a)]:
        return dg.SensorResult(run_requests=requests)
    seen = {
        "came in": len(known),
        "of these with the content of another": sum(bool(video.linked_to) for video in known),
        "cannot be read": len(unreadable),
        "wait for the next look": len(ready) - len(taken) - len(large),
        "read by a run": len(large) - len(by_runs),
        "new or still growing": growing,
    }
    return dg.SkipReason("Files: " + (", ".join(f"{n} {what}" for what, n in seen.items() if n) or "nothing new") + ".")


def _while_there_is_time(ready: Sequence[Arrival], taken: list[Arrival]) -> Iterator[Path]:
    """The paths to read in this tick; `taken` is told each."""
    until = time.monotonic() + SECONDS_A_TICK
    for arrival in ready:
        if len(taken) >= FILES_A_TICK or time.monotonic() > until:
            return
        if arrival.size_bytes <= BYTES_A_FILE:
            taken.append(arrival)
            yield arrival.path


def _register_later(instance: dg.DagsterInstance, arrival: Arrival) -> list[dg.RunRequest]:
    config = {"ops": {"register_files": {"config": {"paths": [str(arrival.path)]}}}}
    return request(instance, _asked_for(arrival), tags={}, run_config=config)


def _asked_for(arrival: Arrival) -> str:
    return f"register:{digest(arrival.path, arrival.signature)}"


@dg.sensor(
    jobs=[ASSET_JOBS[stage] for stage in VIDEO_STAGES],
    minimum_interval_seconds=BEAT_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for runs over the videos that are ready for their next stage; previews first.",
)
def stages_sensor(
    context: dg.SensorEvaluationContext,
    ledger: dg.ResourceParam[Ledger],
    library: dg.ResourceParam[Library],
    settings: dg.ResourceParam[Settings],
) -> dg.SensorResult | dg.SkipReason:
    """Videos that are ready for their next stage get a run, many videos in each; previews come before all else, and what was
    begun is finished first."""
    if at_rest(context, mark := ledger.mark()):
        return UNCHANGED
    if taken(settings) or selection_at_work(context.instance):
        return dg.SkipReason("khung ingest or a selection is at work.")
    keys = sync_partitions(context.instance, ledger)
    # Runs before lines: what ends in between is then in both, and asked for by nobody.
    flying = {stage: in_flight(context.instance, stage, keys) for stage in VIDEO_STAGES}
    look = Look(ledger)
    if not any(flying.values()) and left_to_one_run(look, library, settings):
        return dg.SkipReason("Left to one run for all stages: the few that are new.")
    requests = [r for stage in IN_ORDER for r in _stage_runs(context.instance, look, stage, keys, flying)]
    if not requests and not any(pending(look, stage) for stage in VIDEO_STAGES):
        rest(context, mark)
    return _asked(requests[:RUNS_A_TICK], "Nothing is pending.")


def _stage_runs(
    instance: dg.DagsterInstance, look: Look, stage: str, keys: Sequence[str], flying: Mapping[str, set[str]]
) -> Iterator[dg.RunRequest]:
    """Runs for all that is pending; but no run that loads a model for a few videos while more are about to come."""
    entries = {e.video_id: e for e in pending(look, stage, flying[stage])}
    before = NEEDS[stage]
    if not entries:
        return
    if len(entries) < VIDEOS_A_RUN[stage] and before and (flying[before] or pending(look, before)):
        return
    for part in ranges(keys, entries, VIDEOS_A_RUN[stage], unready(look, stage, keys)):
        state = digest(*((key, entries[key].stage, waits_since(entries[key])) for key in part))
        tags = range_tags(part) | {PRIORITY_TAG: PRIORITY.get(stage, "0")}
        yield from request(instance, f"{stage}:{state}", job_name=job_name(stage), tags=tags)


@dg.sensor(
    job_name=job_name("shard_indices"),
    minimum_interval_seconds=BEAT_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for shards to be sealed whose videos have new results.",
)
def shards_sensor(
    context: dg.SensorEvaluationContext, ledger: dg.ResourceParam[Ledger], settings: dg.ResourceParam[Settings]
) -> dg.SensorResult | dg.SkipReason:
    """Shards whose videos have new results are sealed anew, once the stages of their videos are through."""
    if at_rest(context, mark := ledger.mark()):
        return UNCHANGED
    if taken(settings):
        return dg.SkipReason("khung ingest is at work.")
    keys, look = SHARDS.get_partition_keys(), Look(ledger)
    behind = {f"{index:02}": since for index, since in _sealable(look, settings).items()}
    wanted = behind.keys() - in_flight(context.instance, "shard_indices", keys)
    passable = empty_shards(look, keys, settings.shard_count) if wanted else ()
    parts = ranges(keys, wanted, settings.shard_count, passable)
    requests = [
        one
        for part in parts
        for one in request(
            context.instance,
            f"shards:{digest(*((key, behind[key]) for key in part))}",
            tags=range_tags(part) | {PRIORITY_TAG: PRIORITY["shard_indices"]},
        )
    ]
    if not dirty_shards(look, settings.shard_count):
        rest(context, mark)
    return _asked(requests, "No shard is behind, or its videos are still at work.")


def _sealable(look: Look, settings: Settings) -> dict[int, str]:
    return sealable(look, settings.shard_count, utc(datetime.now(UTC) - PATIENCE))


@dg.sensor(
    job_name=job_name("search_snapshot"),
    minimum_interval_seconds=BEAT_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Publishes when the newest shards are not those in service; not after a rollback.",
)
def snapshot_sensor(
    context: dg.SensorEvaluationContext,
    ledger: dg.ResourceParam[Ledger],
    settings: dg.ResourceParam[Settings],
    shelf: dg.ResourceParam[Shelf],
) -> dg.SensorResult | dg.SkipReason:
    """When the newest shards are not the ones in service, a snapshot of them is verified and published. After a rollback it
    waits for people: what was taken back is not published again by itself."""
    if at_rest(context, mark := f"{ledger.mark()}, {shelf.current()}"):
        return UNCHANGED
    making, look = in_flight(context.instance, "shard_indices", SHARDS.get_partition_keys()), Look(ledger)
    if taken(settings) or making or _sealable(look, settings):
        return dg.SkipReason("Shards are in the making.")
    if (moves := shelf.history()) and moves[-1].reason == "rollback":
        return dg.SkipReason(
            f"Rolled back to {moves[-1].snapshot_id}: run {job_name('search_snapshot')} to publish again."
        )
    newest = sorted(heads(look, settings.shard_count).values())
    if newest == in_service(shelf):
        rest(context, mark)
        return dg.SkipReason("The newest shards are in service.")
    shelf.fetch(newest)
    if len(spaces := {open_manifest(shelf.folder, shard).embed_fingerprint for shard in newest}) > 1:
        return dg.SkipReason(f"The shards are on their way to another vector space: {', '.join(sorted(spaces))}.")
    tags = {PRIORITY_TAG: PRIORITY["search_snapshot"]}
    requests = request(context.instance, f"snapshot:{digest(shelf.current(), newest)}", tags=tags)
    return _asked(
        requests, "The last publishing of these shards failed or is under way; it is tried again a while later."
    )


def _asked(requests: list[dg.RunRequest], otherwise: str) -> dg.SensorResult | dg.SkipReason:
    return dg.SensorResult(run_requests=requests) if requests else dg.SkipReason(otherwise)
