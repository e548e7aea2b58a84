"""Bringing the services profile back, in two steps with the start of PostgreSQL in between: its folder; then everything else.

The log is finer than the archive's lists. For a moment between two backups the ledger and the pointer may be of a later state than
the objects: they are brought in line, and what is missing waits to be made again.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from khung.errors import CorruptError, NotFound, StoreError
from khung.settings import Settings
from khung.shards import archived, snapshot
from khung.shards.backup import Restored
from khung.shards.backup_objects import Tell, fetch, made_until
from khung.shards.backup_services import (
    POSTGRES,
    WAL,
    ServicesBackup,
    backups,
    bucket_of,
)
from khung.shards.forget import follow_shards, missing_work
from khung.shards.mirror import PREFIX
from khung.shards.pointer_postgres import PostgresPointer
from khung.shards.shelf import Shelf, open_shelf
from khung.stores import Archive
from khung.stores.durable import sync_folder
from khung.stores.library import Library
from khung.stores.open import open_database, open_ledger
from khung.stores.postgres_backup import prepare_restore

# -- first step: the database's folder


def restore_postgres(target: Path, data: Path, *, at: str = "", wal: Path | None = None) -> ServicesBackup:
    """Make `data` a folder on which PostgreSQL starts and recovers to `at` (ISO 8601; empty: as far as the log goes).

    Raises NotFound when no backup is that old, StoreError when the folder is in use or there is no log to follow.
    """
    target, data, wal = Path(target), Path(data), Path(wal or Path(target) / WAL)
    chosen, logged = made_until(target, backups(target), at), wal.is_dir() and any(wal.iterdir())
    if at and not logged:
        raise StoreError(
            f"{wal} holds no log: only the moments that `khung backups` lists can come back.",
            cure="Leave --at away, or name the folder of the archived log with --wal.",
        )
    if data.exists() and any(data.iterdir()):
        raise StoreError(f"{data} is not empty.", cure="Restore into a new folder.")
    aside = data.with_name(f"{data.name}.restoring")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(target / POSTGRES / chosen.postgres, aside)
    if logged:
        prepare_restore(aside, wal.absolute(), at=at)
    aside.chmod(0o700)
    if data.exists():
        data.rmdir()
    aside.rename(data)
    sync_folder(data.parent)
    return chosen


# -- second step: archive, index and ledger, with the database running again


def restore_services(settings: Settings, target: Path, *, at: str = "", tell: Tell = lambda *_: None) -> Restored:
    """Fill an empty bucket, bring pointer and ledger in line with it, write the index again, and check all of it.

    Raises StoreError when the bucket is not empty, CorruptError when an object is damaged or the snapshot is not whole.
    """
    target, archive = Path(target), bucket_of(settings)
    everything = backups(target)
    chosen = made_until(target, everything, at)
    if next(archive.keys(""), None) is not None:
        raise StoreError("The bucket is not empty.", cure="Name a new bucket in KHUNG_STORES_ARCHIVE_URL.")
    shelf_later = [o for b in everything if b.at > chosen.at for o in b.objects if o.key.startswith(f"{PREFIX}/s")]
    objects = {o.key: o for o in (*shelf_later, *chosen.objects)}
    for number, one in enumerate(objects.values(), 1):
        archive.put_file(one.key, fetch(target, one.key, one.sha256))
        tell(number, len(objects))
    shelf, ledger, library = open_shelf(settings), open_ledger(settings), Library(archive)
    _point_to_what_is_whole(settings, archive)
    later = sorted(set(everything[-1].erased) - set(chosen.erased))
    if later:
        shelf.erase(later)
        for video_id in later:
            ledger.forget(video_id)
            library.delete_video(video_id)
    ledger.put(missing_work(ledger, [*archive.keys("videos/"), *archive.keys("playable/")]))
    follow_shards(shelf, ledger)
    return _check(shelf, chosen, len(objects), later)


def _point_to_what_is_whole(settings: Settings, archive: Archive) -> None:
    """The log may name a snapshot that was published after the last list of objects: then the newest whole one serves."""
    pointer, whole = PostgresPointer(open_database(settings)), _whole(archive)
    moves = pointer.read().moves
    if moves and moves[-1].snapshot_id not in whole:
        older = [move.snapshot_id for move in reversed(moves) if move.snapshot_id in whole]
        if not older:
            raise CorruptError(
                "The backup holds no snapshot that the database knows.", cure="Restore to a later moment."
            )
        pointer.move(older[0], "restore")


def _whole(archive: Archive) -> set[str]:
    shards = set()
    for shard_id in archived.shard_ids(archive):
        try:
            own = archived.shard_manifest(archive, shard_id)
        except NotFound:
            continue
        keys = set(archive.keys(f"{PREFIX}/shards/{shard_id}/"))
        if all(f"{PREFIX}/shards/{shard_id}/{file.path}" in keys for file in own.files):
            shards.add(shard_id)
    found = archived.snapshots(archive).values()
    return {s.snapshot_id for s in found if all(ref.shard_id in shards for ref in s.shards)}


def _check(shelf: Shelf, chosen: ServicesBackup, objects: int, later: Sequence[str]) -> Restored:
    """Checksums, equal counts in every store, canaries; then the index."""
    now, videos, frames = shelf.follow(), 0, 0
    if now:
        sealed = shelf.manifest(now)
        snapshot.check(shelf.folder, sealed)
        shelf.repair()
        videos, frames = sealed.videos, sealed.frames
    return Restored(chosen.at, now or "", videos, frames, objects, tuple(later))
