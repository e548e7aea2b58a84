"""Chores of the shelf: put an older snapshot back into service, and take away what nothing needs any more."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack

import dagster as dg
from pydantic import Field

from khung.errors import NotFound
from khung.settings import Settings
from khung.shards.shelf import Shelf
from khung.shards.snapshot import Snapshot
from khung.stores import Ledger
from khung.stores.library import Library


class RollbackTo(dg.Config):
    """Which snapshot."""

    snapshot_id: str = Field("", description="empty: the one that was in service before the present one")


@dg.op
def roll_back(context: dg.OpExecutionContext, config: RollbackTo, shelf: dg.ResourceParam[Shelf]) -> None:
    """Put an older snapshot back into service, verified as at its publishing. Nothing is published by itself afterwards."""
    now = shelf.current()
    target = config.snapshot_id or shelf.before(now)
    shelf.rollback(target, expect=now)
    context.log.info(f"{target} is in service, {now} is not.")


@dg.op
def collect_garbage(
    context: dg.OpExecutionContext,
    ledger: dg.ResourceParam[Ledger],
    library: dg.ResourceParam[Library],
    settings: dg.ResourceParam[Settings],
    shelf: dg.ResourceParam[Shelf],
) -> None:
    """Remove snapshots beyond those kept, the shards that only they named, and pictures of frames that nothing shows."""
    newest = [entry.fingerprint for entry in ledger.find(stage="shard_indices") if entry.fingerprint]
    taken = shelf.collect(settings.keep_snapshots, also=newest)
    context.log.info(
        f"{len(taken.snapshots)} snapshots, {len(taken.shards)} shards, {len(taken.aside)} left-overs removed."
    )
    done = {entry.video_id for entry in ledger.find(stage="keyframes", state="done")}
    pictures = list(unused_pictures(library, shelf, settings.keep_snapshots, done))
    for key in pictures:
        library.archive.delete(key)
    context.log.info(f"{len(pictures)} pictures and {library.archive.tidy()} half-written files removed.")


def unused_pictures(library: Library, shelf: Shelf, keep: int, done: Collection[str]) -> Iterator[str]:
    """Archive keys of pictures whose frame is neither a keyframe nor in a snapshot that may come back. `done`: the videos whose keyframes are
    not just being made anew; the pictures of others may belong to keyframes that are yet to be written."""
    kept = list(dict.fromkeys(move.snapshot_id for move in reversed(shelf.history())))[:keep]
    with ExitStack() as open_ones:
        snapshots = [open_ones.enter_context(shelf.open(one, verify=False)) for one in kept]
        for video_id in filter(done.__contains__, library.video_ids()):
            shown = _shown(video_id, library, snapshots)
            for key in library.archive.keys(f"frames/{video_id}/"):
                if shown is not None and int(key.split("/")[2]) not in shown:
                    yield key


def _shown(video_id: str, library: Library, snapshots: Sequence[Snapshot]) -> set[int] | None:
    """Frame indices; None when the keyframes are just being made."""
    try:
        frames = {keyframe.frame_index for keyframe in library.keyframes(video_id)}
    except NotFound:
        return None
    return frames.union(
        *({r.keyframe.frame_index for r in snapshot.records.frames_of(video_id)} for snapshot in snapshots)
    )
