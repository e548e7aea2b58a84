"""Runs over many partitions: which there are, which ranges to ask for, and which videos the unfinished runs already have.

A run covers a contiguous range of partitions, in the order in which Dagster keeps them; one that is done splits it.
"""

from collections.abc import Collection, Sequence

import dagster as dg
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)

from assets.partitions import VIDEOS
from khung.stores import Ledger

FORGOTTEN_A_TICK = 500  # partitions that are taken away, one statement each

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def job_name(asset: str) -> str:
    """The job that makes one asset and nothing else."""
    return f"make_{asset}"


def ranges(keys: Sequence[str], wanted: Collection[str], size: int, passable: Collection[str] = ()) -> list[list[str]]:
    """The wanted partitions as runs of neighbours in `keys`, at most `size` each. A range may lead over `passable` ones,
    which its run leaves out: those that are not ready for the stage."""
    found: list[list[str]] = []
    joined = False
    for key in keys:
        if key in wanted:
            if not joined or len(found[-1]) == size:
                found.append([])
            found[-1].append(key)
            joined = True
        elif key not in passable:
            joined = False
    return found


def range_tags(keys: Sequence[str]) -> dict[str, str]:
    """Run tags for a range made by `ranges`."""
    return {ASSET_PARTITION_RANGE_START_TAG: keys[0], ASSET_PARTITION_RANGE_END_TAG: keys[-1]}


def in_flight(instance: dg.DagsterInstance, asset: str, keys: Sequence[str]) -> set[str]:
    """The partitions of `asset` that unfinished runs have, whoever launched them. `keys`: all of them, in order."""
    found: set[str] = set()
    for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
        if run.job_name == job_name(asset) or dg.AssetKey(asset) in (run.asset_selection or ()):
            found.update(_partitions(run, keys))
    return found


def _partitions(run: dg.DagsterRun, keys: Sequence[str]) -> Sequence[str]:
    if key := run.tags.get(PARTITION_NAME_TAG):
        return [key]
    first, last = run.tags.get(ASSET_PARTITION_RANGE_START_TAG), run.tags.get(ASSET_PARTITION_RANGE_END_TAG)
    return keys[keys.index(first) : keys.index(last) + 1] if first in keys and last in keys else ()


def sync_partitions(instance: dg.DagsterInstance, ledger: Ledger) -> list[str]:
    """Every video that the ledger knows and that is no link has a partition, and none that it has forgotten (`khung erase`); returns
    all of them in order."""
    keys = list(instance.get_dynamic_partitions(VIDEOS.name))
    wanted = {entry.video_id: None for entry in ledger.find(stage="videos") if entry.state != "linked"}
    for key in [key for key in keys if key not in wanted][:FORGOTTEN_A_TICK]:
        instance.delete_dynamic_partition(VIDEOS.name, key)
    known = set(keys)
    missing = [video_id for video_id in wanted if video_id not in known]
    for start in range(0, len(missing), 5000):  # SQLite refuses a million in one statement
        instance.add_dynamic_partitions(VIDEOS.name, missing[start : start + 5000])
    return [*(key for key in keys if key in wanted), *missing]


def selection_at_work(instance: dg.DagsterInstance) -> bool:
    """A run of `process_selection` walks its videos through the stages by itself."""
    return bool(instance.get_runs(dg.RunsFilter(statuses=UNFINISHED, job_name="process_selection"), limit=1))
