"""Backups of the services profile: PostgreSQL's own base copy with its log, and every object of the archive by its content.

    target/postgres/<moment>/   the cluster, as pg_basebackup gives it
    target/wal/                 the log, which the server brings there all along: any second can come back
    target/backups/<moment>.json, target/objects/   the archive's list of that moment, and the bytes

The base copy comes first and the list after it, so that every object which the database names is in the list. OpenSearch is not
saved: its indexes are written again from the shards. A restore is in two steps, with the start of the server in between.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from khung.errors import ConfigError, NotFound, StoreError
from khung.settings import Settings
from khung.shards import archived, manifest
from khung.shards.backup import BACKUPS, OBJECTS, object_path
from khung.shards.pointer_postgres import PostgresPointer
from khung.stores.archive_s3 import S3Archive
from khung.stores.durable import replace_file
from khung.stores.open import open_archive, open_database
from khung.stores.postgres_backup import base_backup
from khung.timecode import utc_now

POSTGRES, WAL = "postgres", "wal"
Tell = Callable[[int, int], None]
"""Told how many of how many objects are through."""


@dataclass(frozen=True, slots=True)
class SavedObject:
    """One object as it was. The same `etag` under the same key is the same content."""

    key: str
    size_bytes: int
    etag: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ServicesBackup:
    """The list of one moment."""

    schema_version: int
    at: str  # ISO 8601, UTC: the base copy was complete
    snapshot_id: str  # in service then; empty before the first
    erased: tuple[str, ...]  # videos erased until then
    postgres: str  # the folder below `postgres/`
    objects: tuple[SavedObject, ...]


def backup(
    settings: Settings, target: Path, *, binaries: Path | None = None, tell: Tell = lambda *_: None
) -> ServicesBackup:
    """Save database and archive. Work may go on. Raises StoreError; then no new moment can be restored, and no old one is lost."""
    target, archive = Path(target), bucket_of(settings)
    known = {(o.key, o.etag): o for b in backups(target)[-1:] for o in b.objects}
    began = utc_now().replace(":", "")
    aside = target / POSTGRES / f".{began}.aside"
    aside.mkdir(parents=True)
    try:
        base_backup(settings.stores.postgres_url, aside, binaries=binaries)
        aside.rename(target / POSTGRES / began)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    at, moves = utc_now(), PostgresPointer(open_database(settings)).read()
    listed = list(archive.listing())
    saved = []
    for number, (key, size, etag) in enumerate(listed, 1):
        before = known.get((key, etag))
        there = before is not None and object_path(target, before.sha256).exists()
        if one := before if there else _save(archive, target, key, size, etag):
            saved.append(one)
        tell(number, len(listed))
    done = ServicesBackup(
        manifest.SCHEMA_VERSION, at, moves.current or "", tuple(archived.erased(archive)), began, tuple(saved)
    )
    (target / BACKUPS).mkdir(parents=True, exist_ok=True)
    replace_file(target / BACKUPS / f"{at.replace(':', '')}.json", manifest.encode(done))
    return done


def backups(target: Path) -> list[ServicesBackup]:
    """Every moment from which the log can be followed, oldest first. Raises CorruptError."""
    return [manifest.read(path, ServicesBackup) for path in sorted((Path(target) / BACKUPS).glob("*.json"))]


def prune(target: Path, keep: int) -> int:
    """Drop all but the last `keep`, with what only they held; the number of objects removed. The log is pg_archivecleanup's."""
    target = Path(target)
    for path in sorted((target / BACKUPS).glob("*.json"))[: -max(keep, 1)]:
        path.unlink()
    kept = backups(target)
    for folder in (p for p in (target / POSTGRES).glob("*") if p.name not in {b.postgres for b in kept}):
        shutil.rmtree(folder)
    wanted = {one.sha256 for b in kept for one in b.objects}
    gone = [path for path in (target / OBJECTS).glob("*/*") if path.name not in wanted]
    for path in gone:
        path.unlink()
    return len(gone)


def made_until(target: Path, at: str) -> ServicesBackup:
    """The newest backup at or before a moment; of all, when there is none. Raises NotFound."""
    fitting = [b for b in backups(target) if not at or b.at <= at]
    if not fitting:
        raise NotFound(f"{target} has no backup{f' made until {at}' if at else ''}.")
    return fitting[-1]


def bucket_of(settings: Settings) -> S3Archive:
    """Raises ConfigError when the settings are not those of the profile, StoreError when the server does not answer."""
    archive = open_archive(settings)
    if not isinstance(archive, S3Archive) or not settings.stores.postgres_url:
        raise ConfigError(
            "This is the backup of the services profile.", cure="Set KHUNG_STORES_ARCHIVE_URL and _POSTGRES_URL."
        )
    return archive


def _save(archive: S3Archive, target: Path, key: str, size: int, etag: str) -> SavedObject | None:
    """None when it was deleted meanwhile."""
    folder = target / OBJECTS
    folder.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=folder, prefix=".aside-")
    try:
        with os.fdopen(handle, "w+b") as out:
            archive.copy_to(key, out)
            out.flush()
            os.fsync(out.fileno())
            out.seek(0)
            checksum = hashlib.file_digest(out, "sha256").hexdigest()
        final = object_path(target, checksum)
        final.parent.mkdir(exist_ok=True)
        os.replace(aside, final)
    except NotFound:
        return None
    except OSError as error:
        raise StoreError(f"{key} could not be saved: {error}.", cure="Is the backup's disk full?") from error
    finally:
        Path(aside).unlink(missing_ok=True)
    return SavedObject(key, size, etag, checksum)
