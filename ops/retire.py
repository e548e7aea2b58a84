"""Taking a video out: of the ledger, the archive and the partitions. Its shard is sealed without it, and a snapshot follows."""

from dataclasses import replace

import dagster as dg
from pydantic import Field

from khung.errors import NotFound
from khung.stores import Ledger
from khung.stores.library import Library

PARTITIONS = "videos"  # the name of the dynamic partitions, as in assets/partitions.py


class VideosToRetire(dg.Config):
    """Which videos."""

    videos: list[str] = Field(description="names of videos, as khung status lists them")


@dg.op
def retire_videos(
    context: dg.OpExecutionContext,
    config: VideosToRetire,
    ledger: dg.ResourceParam[Ledger],
    library: dg.ResourceParam[Library],
) -> None:
    """Forget some videos and delete every file of theirs. They are found until the next snapshot, but not shown any more."""
    for video_id in config.videos:
        retire(video_id, ledger, library)
        context.instance.delete_dynamic_partition(PARTITIONS, video_id)
        context.log.info(f"{video_id} is retired.")


def retire(video_id: str, ledger: Ledger, library: Library) -> None:
    """Raises NotFound. What shares the video's shard is put back to be sealed, before the video is forgotten."""
    entries = ledger.get(video_id)
    if not entries:
        raise NotFound(f"The ledger knows no video {video_id}.")
    if sealed := entries.get("shard_indices"):
        others = [e for e in ledger.find(stage="shard_indices") if e.fingerprint == sealed.fingerprint]
        ledger.put(replace(e, state="waiting", detail=f"{video_id} was retired") for e in others)
    library.delete_video(video_id)
    ledger.forget(video_id)  # last: until then the same call finishes what a crash broke off
