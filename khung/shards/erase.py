"""The right to be forgotten, on the shelf: a video leaves the snapshot in service, and every older one that held it goes.

The archive and the ledger are theirs who own them. Erasures are logged, so that a restored backup can be told to forget again.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from khung.errors import CorruptError, NotFound
from khung.shards import pointer
from khung.shards.garbage import take
from khung.shards.manifest import SnapshotManifest
from khung.shards.reader import SHARDS
from khung.shards.snapshot import SNAPSHOTS, Announce, Snapshot, current, publish, read_manifest
from khung.shards.writer import open_manifest, reseal
from khung.stores.durable import locked, replace_file
from khung.stores.vectors_build import IndexPolicy
from khung.timecode import utc_now

LOG = "erased.jsonl"


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure did. `held` shards are still read by someone: they go with the next collection."""

    snapshot_id: str | None  # in service now
    resealed: dict[str, str]  # old shard → new shard
    snapshots: tuple[str, ...]
    shards: tuple[str, ...]
    held: tuple[str, ...]


def erase(
    shelf: Path, video_ids: Iterable[str], *, policy: IndexPolicy | None = None, announce: Announce | None = None
) -> Erased:
    """Take videos out of everything on the shelf. Repeating it after a crash finishes the work.

    The snapshot in service is published anew without them (`announce` as in publishing); older snapshots that held one are
    removed, with their shards.
    """
    shelf, gone = Path(shelf), set(video_ids)
    resealed = _publish_without(shelf, gone, policy, announce)
    return replace(drop_older(shelf, gone), resealed=resealed)


def drop_older(shelf: Path, gone: Collection[str]) -> Erased:
    """Remove every snapshot but the one in service that holds one of the videos, with its shards, and log the erasure. A shard whose
    manifest is damaged counts as holding them: it can be of no use any more, and nobody can say what is in it."""
    shelf, gone = Path(shelf), set(gone)
    now = current(shelf)
    old = [s for s in _all_snapshots(shelf) if s.snapshot_id != now and _holds(shelf, s, gone)]
    serving = {ref.shard_id for ref in read_manifest(shelf, now).shards} if now else set()
    there = {p.name for p in (shelf / SHARDS).glob("*")} - serving  # what is in service holds none of them any more
    doomed = {name for name in there if gone & _videos(shelf, name, gone)}
    pointer.forget(shelf, {s.snapshot_id for s in old})
    for snapshot in old:
        (shelf / SNAPSHOTS / f"{snapshot.snapshot_id}.json").unlink(missing_ok=True)
    taken = {shard_id for shard_id in doomed if take(shelf, shard_id)}
    _log(shelf, gone)
    ids = tuple(sorted(s.snapshot_id for s in old))
    return Erased(now, {}, ids, tuple(sorted(taken)), tuple(sorted(doomed - taken)))


def erased(shelf: Path, since: str = "") -> list[str]:
    """The videos erased at or after an ISO 8601 time."""
    path = Path(shelf) / LOG
    entries = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return sorted({entry["video_id"] for entry in entries if entry["at"] >= since})


def _publish_without(
    shelf: Path, gone: Collection[str], policy: IndexPolicy | None, announce: Announce | None
) -> dict[str, str]:
    now = current(shelf)
    if now is None:
        return {}
    sealed = read_manifest(shelf, now)
    resealed = {
        ref.shard_id: reseal(shelf, ref.shard_id, [], gone=gone, policy=policy).shard_id
        for ref in sealed.shards
        if _videos(shelf, ref.shard_id).intersection(gone)
    }
    if resealed:
        ids = [resealed.get(ref.shard_id, ref.shard_id) for ref in sealed.shards]

        def same(_: Snapshot) -> dict[str, tuple[float, ...]]:
            return dict(sealed.normalisers)

        publish(shelf, ids, measure=same, announce=announce, expect=now)
    return resealed


def _all_snapshots(shelf: Path) -> list[SnapshotManifest]:
    return [read_manifest(shelf, path.stem) for path in sorted((shelf / SNAPSHOTS).glob("[0-9a-f]*.json"))]


def _holds(shelf: Path, snapshot: SnapshotManifest, gone: Collection[str]) -> bool:
    return any(_videos(shelf, ref.shard_id, gone).intersection(gone) for ref in snapshot.shards)


def _videos(shelf: Path, shard_id: str, feared: Collection[str] = ()) -> set[str]:
    """What the shard holds; `feared`, when it cannot be told."""
    try:
        return set(open_manifest(shelf, shard_id).videos)
    except NotFound:  # already taken
        return set()
    except CorruptError:
        if not feared:
            raise
        return set(feared)


def _log(shelf: Path, gone: Iterable[str]) -> None:
    with locked(shelf / f"{LOG}.lock"):
        path = shelf / LOG
        old = path.read_bytes() if path.exists() else b""
        lines = [json.dumps({"at": utc_now(), "video_id": video_id}) + "\n" for video_id in sorted(gone)]
        replace_file(path, old + "".join(lines).encode())
