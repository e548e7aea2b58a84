"""Shelves on many machines: sealed shards go up to the archive, come down to readers, and the shared pointer says which.

    a kitchen   publish on its own shelf → push → move the shared pointer (compare and set: PostgreSQL, or S3)
    a reader    follow: read that pointer → pull what is missing → verify → move its own shelf's pointer

Everything is content-addressed, so each step may be repeated, and a crash leaves only files that no pointer names.
"""

import secrets
import shutil
from pathlib import Path

from khung.errors import CorruptError, NotFound
from khung.shards import manifest, pointer
from khung.shards.manifest import ShardManifest, SnapshotManifest
from khung.shards.pointer import SharedPointer
from khung.shards.reader import shard_folder, verify
from khung.shards.snapshot import ANY, SNAPSHOTS, read_manifest
from khung.shards.writer import ASIDE, open_manifest, settle
from khung.stores import Archive
from khung.stores.durable import replace_file, sync_file

PREFIX = "shelf"


def announce(
    shelf: Path, archive: Archive, shared: SharedPointer, snapshot_id: str, *, expect: str | None = ANY
) -> None:
    """Bring a published snapshot up and put it into service everywhere. Raises PublishConflict when another was first."""
    push(shelf, archive, snapshot_id)
    shared.move(snapshot_id, "publish", expect=expect)


def follow(shelf: Path, archive: Archive, shared: SharedPointer) -> str | None:
    """Put into service here what is in service there; its id. A damaged download changes nothing and raises CorruptError."""
    wanted = shared.read().current
    if wanted is not None and wanted != pointer.read(shelf).current:
        pull(archive, shelf, wanted)
        pointer.move(shelf, wanted, "follow")
    return wanted


def push(shelf: Path, archive: Archive, snapshot_id: str) -> None:
    """Bring up what the archive has not; each shard's manifest comes last of its files, the snapshot's last of all."""
    sealed = read_manifest(shelf, snapshot_id)
    for ref in sealed.shards:
        push_shard(shelf, archive, ref.shard_id)
    archive.put_bytes(snapshot_key(snapshot_id), manifest.encode(sealed), content_type="application/json")


def push_shard(shelf: Path, archive: Archive, shard_id: str) -> None:
    """Bring up one sealed shard, if the archive has not got it."""
    folder, own = shard_folder(shelf, shard_id), open_manifest(shelf, shard_id)
    if archive.size(shard_key(shard_id, manifest.MANIFEST)) is not None:
        return
    for file in own.files:
        archive.put_file(shard_key(shard_id, file.path), folder / file.path)
    archive.put_file(shard_key(shard_id, manifest.MANIFEST), folder / manifest.MANIFEST)


def pull(archive: Archive, shelf: Path, snapshot_id: str) -> None:
    """Bring down what the shelf has not. Raises NotFound, or CorruptError before anything damaged gets its name."""
    key = snapshot_key(snapshot_id)
    sealed = manifest.decode(archive.get_bytes(key), SnapshotManifest, key)
    for ref in sealed.shards:
        if not _sound(shelf, ref.shard_id):
            pull_shard(archive, shelf, ref.shard_id)
    (shelf / SNAPSHOTS).mkdir(parents=True, exist_ok=True)
    replace_file(shelf / SNAPSHOTS / f"{snapshot_id}.json", manifest.encode(sealed))
    read_manifest(shelf, snapshot_id)  # checks the id against the content


def pull_shard(archive: Archive, shelf: Path, shard_id: str) -> None:
    """Bring down one shard, in place of a damaged one if there is one. Raises NotFound, CorruptError."""
    aside = shelf / ASIDE / f"pulled-{shard_id}-{secrets.token_hex(6)}"
    aside.mkdir(parents=True)
    try:
        _write(aside / manifest.MANIFEST, archive.get_bytes(shard_key(shard_id, manifest.MANIFEST)))
        own = manifest.read(aside / manifest.MANIFEST, ShardManifest)
        for file in own.files:
            _write(aside / file.path, archive.get_bytes(shard_key(shard_id, file.path)))
        verify(aside, own)
        if own.shard_id != shard_id:
            raise CorruptError(f"The archive has {own.shard_id} under the name of {shard_id}.")
        final = shard_folder(shelf, shard_id)
        if final.exists():  # it was not sound
            final.rename(aside.with_name(f"damaged-{aside.name}"))
        settle(aside, final)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    sync_file(path)


def _sound(shelf: Path, shard_id: str) -> bool:
    try:
        verify(shard_folder(shelf, shard_id), open_manifest(shelf, shard_id))
    except (NotFound, CorruptError):
        return False
    return True


def shard_key(shard_id: str, path: str) -> str:
    return f"{PREFIX}/shards/{shard_id}/{path}"


def snapshot_key(snapshot_id: str) -> str:
    return f"{PREFIX}/snapshots/{snapshot_id}.json"
