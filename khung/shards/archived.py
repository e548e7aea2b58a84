"""What the archive holds of all machines' shelves: listed, collected, erased. Bringing shards up and down is mirror.py.

A snapshot or shard that nothing names is taken only a day after a collection first found it so: what is just being brought up
is named a little later, and an archive tells no times.
"""

import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass

from khung.errors import CorruptError, NotFound
from khung.records import check_video_id
from khung.shards import manifest
from khung.shards.garbage import DAY_S
from khung.shards.manifest import ShardManifest, SnapshotManifest
from khung.shards.mirror import PREFIX, shard_key, snapshot_key
from khung.shards.reader import SHARDS
from khung.shards.snapshot import SNAPSHOTS
from khung.stores import Archive

_ERASED, _UNWANTED = f"{PREFIX}/erased/", f"{PREFIX}/unwanted.json"


@dataclass(frozen=True, slots=True)
class Unwanted:
    """What nothing needed when a collection came by: `names[i]` since `since[i]`, in seconds since 1970."""

    names: tuple[str, ...] = ()
    since: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Gone:
    """What a collection took from the archive."""

    snapshots: tuple[str, ...]
    shards: tuple[str, ...]


def snapshots(archive: Archive) -> dict[str, SnapshotManifest]:
    """Every snapshot in the archive, by id."""
    found = {}
    for key in archive.keys(f"{PREFIX}/{SNAPSHOTS}/"):
        with contextlib.suppress(NotFound):  # another machine's collection has just taken it
            sealed = manifest.decode(archive.get_bytes(key), SnapshotManifest, key)
            found[sealed.snapshot_id] = sealed
    return found


def shard_ids(archive: Archive) -> list[str]:
    """Every shard of which the archive has a file, sorted."""
    return sorted({key.split("/")[2] for key in archive.keys(f"{PREFIX}/{SHARDS}/")})


def shard_manifest(archive: Archive, shard_id: str) -> ShardManifest:
    """Raises NotFound for a shard that was not brought up to its end."""
    key = shard_key(shard_id, manifest.MANIFEST)
    return manifest.decode(archive.get_bytes(key), ShardManifest, key)


def drop(archive: Archive, snapshot_ids: Iterable[str], shards: Iterable[str]) -> None:
    """Take snapshots away, then shards; the manifest of each goes first, so that nothing half there is ever complete."""
    for snapshot_id in snapshot_ids:
        archive.delete(snapshot_key(snapshot_id))
    for shard_id in shards:
        archive.delete(shard_key(shard_id, manifest.MANIFEST))
        for key in list(archive.keys(f"{PREFIX}/{SHARDS}/{shard_id}/")):
            archive.delete(key)


def snapshot_manifest(archive: Archive, snapshot_id: str) -> SnapshotManifest:
    """Raises NotFound."""
    key = snapshot_key(snapshot_id)
    return manifest.decode(archive.get_bytes(key), SnapshotManifest, key)


def holding(archive: Archive, video_ids: Iterable[str]) -> list[str]:
    """The shards in the archive that hold one of the videos, or that nobody can say of: their manifests are damaged."""
    wanted = set(video_ids)
    return [shard_id for shard_id in shard_ids(archive) if wanted & _videos(archive, shard_id, wanted)]


def _videos(archive: Archive, shard_id: str, feared: set[str]) -> set[str]:
    try:
        return set(shard_manifest(archive, shard_id).videos)
    except NotFound:
        return set()
    except CorruptError:
        return feared


def collect(archive: Archive, keep: Iterable[str], also: Iterable[str], *, min_age_s: float = DAY_S) -> Gone:
    """Take away the snapshots but those of `keep`, and the shards that none of these nor `also` names, if they were found
    unwanted that long ago already: what is just being brought up is named a little later."""
    there, kept = snapshots(archive), set(keep)
    wanted = {ref.shard_id for s in kept & there.keys() for ref in there[s].shards} | set(also)
    unwanted = [
        *(f"{SNAPSHOTS}/{s}" for s in there.keys() - kept),
        *(f"{SHARDS}/{s}" for s in set(shard_ids(archive)) - wanted),
    ]
    known, now = _seen(archive), time.time()
    seen = {name: known.get(name, now) for name in unwanted}
    gone = sorted(name for name, at in seen.items() if now - at >= min_age_s)
    left = {name: at for name, at in seen.items() if name not in gone}
    noted = Unwanted(tuple(left), tuple(left.values()))
    archive.put_bytes(_UNWANTED, manifest.encode(noted), content_type="application/json")
    result = Gone(
        *(tuple(n.partition("/")[2] for n in gone if n.startswith(f"{kind}/")) for kind in (SNAPSHOTS, SHARDS))
    )
    drop(archive, result.snapshots, result.shards)
    return result


def _seen(archive: Archive) -> dict[str, float]:
    """name → when it was first found unwanted, in seconds since 1970."""
    try:
        noted = manifest.decode(archive.get_bytes(_UNWANTED), Unwanted, _UNWANTED)
        return dict(zip(noted.names, noted.since, strict=True))
    except (NotFound, CorruptError):
        return {}


def erased(archive: Archive) -> list[str]:
    """The videos that were erased from all shelves."""
    return sorted(key.removeprefix(_ERASED) for key in archive.keys(_ERASED))


def log_erased(archive: Archive, video_ids: Iterable[str]) -> None:
    """Let the other machines know, and whoever restores a backup: a key each, so that two who erase at once lose nothing."""
    for video_id in map(check_video_id, video_ids):
        archive.put_bytes(f"{_ERASED}{video_id}", b"erased", content_type="text/plain")
