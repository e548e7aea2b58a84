"""Which piece of the library a run is about: one dynamic partition a video, static ones for the shards.

A video's shard follows from its id, so the graph needs no mapping of its own: Dagster sees every shard depend on all videos,
and the ledger knows which shards really changed.
"""

from collections.abc import Iterable

import dagster as dg

from khung.settings import settings

VIDEOS = dg.DynamicPartitionsDefinition(name="videos")
SHARDS = dg.StaticPartitionsDefinition([f"{index:02}" for index in range(settings().shard_count)])


def members(partition_keys: Iterable[str]) -> list[str]:
    """The videos of some partitions. One each today; beyond some 25,000 videos a partition becomes a bucket of them,
    and this function is the only place that knows."""
    return list(partition_keys)
