"""The same library in another number of shards: sealed again from the shards there are, without embedding anything.

The new shards are put into service by snapshot.publish like any others; the old ones stay until they are collected.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from khung.errors import CorruptError
from khung.shards.manifest import ShardManifest, shard_of
from khung.shards.reader import open_shard
from khung.shards.writer import seal
from khung.stores.vectors_build import IndexPolicy


def rescale(
    shelf: Path, shard_ids: Sequence[str], count: int, *, policy: IndexPolicy | None = None
) -> list[ShardManifest]:
    """Seal all videos of the given shards into `count` shards, one after another: memory holds one new shard at a time.

    Raises CorruptError when the given shards are not of one model.
    """
    with ExitStack() as stack:
        shards = [stack.enter_context(open_shard(shelf, shard_id)) for shard_id in shard_ids]
        spaces = {(s.manifest.embed_fingerprint, s.manifest.dim) for s in shards}
        if len(spaces) != 1:
            raise CorruptError(f"The shards hold vectors of {len(spaces)} models: there is no one library to rescale.")
        ((fingerprint, dim),) = spaces
        models = {name: value for s in shards for name, value in s.manifest.models.items()}
        return [
            seal(
                shelf, index, [one for s in shards for one in s.inputs(lambda v, i=index: shard_of(v, count) == i)],
                shard_count=count, embed_fingerprint=fingerprint, dim=dim, models=models, policy=policy,
            )
            for index in range(count)
        ]  # fmt: skip
