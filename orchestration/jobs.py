"""The jobs: one for each asset, so that the sensors and `khung ingest` can ask for one stage over many videos, and the chores."""

import dagster as dg

from ops.intake import register_files
from orchestration.ranges import job_name

VIDEOS_A_RUN = {"videos": 100, "shots": 24, "keyframes": 50, "embeddings": 64, "descriptions": 32}
"""As the assets' backfill policies: one model load serves so many, and so many wait when a run is stopped."""

DESCRIPTIONS = {
    "videos": "Probe the files of some videos and take them into the archive.",
    "shots": "Decode some videos and find their shots.",
    "keyframes": "Pick the keyframes of some videos.",
    "embeddings": "Put the keyframes of some videos into the vector space: one model load for all of them.",
    "descriptions": "Describe the keyframes of some videos and read their text: one model load for all of them.",
    "shard_indices": "Seal some shards anew.",
    "search_snapshot": "Verify the newest shards and put them in service.",
}


ASSET_JOBS = {
    asset: dg.define_asset_job(job_name(asset), selection=[asset], description=text)
    for asset, text in DESCRIPTIONS.items()
}
"""`make_videos`, `make_shots` …, by the name of the asset."""


@dg.job(description="Register files by name: the inbox sensor hands over what it cannot read within its time.")
def register_files_job() -> None:
    register_files()
