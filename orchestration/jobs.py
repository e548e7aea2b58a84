"""The jobs: one for each asset, so that the sensors and `khung ingest` can ask for one stage over many videos, and the chores."""

import dagster as dg

from ops.evaluate import evaluate
from ops.intake import register_files
from ops.retire import retire_videos
from ops.shelf import collect_garbage, roll_back
from orchestration.ranges import job_name

DESCRIPTIONS = {
    "videos": "Probe the files of some videos and take them into the archive.",
    "shots": "Decode some videos and find their shots.",
    "keyframes": "Pick the keyframes of some videos.",
    "preview": "Embed a tenth of the keyframes of some long videos, so that these are found early.",
    "embeddings": "Put the keyframes of some videos into the vector space: one model load for all of them.",
    "descriptions": "Describe the keyframes of some videos and read their text: one model load for all of them.",
    "playable_copies": "Make copies that browsers play of those videos that they do not.",
    "shard_indices": "Seal some shards anew.",
    "search_snapshot": "Verify the newest shards and put them in service.",
}


ASSET_JOBS = {
    asset: dg.define_asset_job(job_name(asset), selection=[asset], description=text)
    for asset, text in DESCRIPTIONS.items()
}
"""`make_videos`, `make_shots` …, by the name of the asset."""

PRIORITY = {"preview": "10", "shard_indices": "5", "search_snapshot": "5", "playable_copies": "-10"}
"""In Dagster's queue, where 0 is usual."""


@dg.job
def register_files_job() -> None:
    """Register files by name: the inbox sensor hands over what it cannot read within its time."""
    register_files()


@dg.job
def retire_videos_job() -> None:
    """Take videos out: ledger, archive, partitions. Shards and snapshot follow by their sensors."""
    retire_videos()


@dg.job
def roll_back_job() -> None:
    """Put an older snapshot back into service."""
    roll_back()


@dg.job
def collect_garbage_job() -> None:
    """Remove old snapshots, their shards, and pictures that nothing shows."""
    collect_garbage()


@dg.job
def evaluate_job() -> None:
    """Ask topics with known answers of a snapshot: recall and mean reciprocal rank."""
    evaluate()


audit = dg.define_asset_job(
    "audit",
    selection=dg.AssetSelection.checks_for_assets("search_snapshot")
    - dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey("search_snapshot"), "canary_queries")),
    description="Do ledger, archive and the snapshot in service agree, and does it still answer?",
)
