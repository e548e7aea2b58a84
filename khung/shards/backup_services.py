"""Backups of the services profile: PostgreSQL's own base copy with its log, and every object of the archive by its content.

    target/postgres/<moment>/   the cluster, as pg_basebackup gives it
    target/wal/                 the log, which the server brings there all along: any second can come back
    target/backups/, target/objects/   the archive's lists and its bytes: backup_objects.py

The base copy comes first and the list after it, so that every object which the database names is in the list. OpenSearch is not
saved: its indexes are written again from the shards; nor are API keys and a contest's answers, which lie in each server's home. A
restore is in two steps, with the start of the server in between.
"""

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from khung.errors import ConfigError, NotFound
from khung.settings import Settings
from khung.shards import archived, backup_objects, manifest
from khung.shards.backup_objects import Tell, alone, has, note, put
from khung.shards.pointer_postgres import PostgresPointer
from khung.stores.archive_s3 import S3Archive
from khung.stores.open import open_archive, open_database
from khung.stores.postgres_backup import base_backup
from khung.timecode import utc_now

POSTGRES, WAL = "postgres", "wal"


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
    with alone(target):
        known = {(o.key, o.etag): o for b in backups(target)[-1:] for o in b.objects}
        began = _base_copy(settings, target, binaries)
        at, moves = utc_now(), PostgresPointer(open_database(settings)).read()
        listed, saved = list(archive.listing()), []
        for number, (key, size, etag) in enumerate(listed, 1):
            before = known.get((key, etag))
            there = before is not None and has(target, before.sha256)
            if one := before if there else _save(archive, target, key, size, etag):
                saved.append(one)
            tell(number, len(listed))
        erased = tuple(archived.erased(archive))
        done = ServicesBackup(manifest.SCHEMA_VERSION, at, moves.current or "", erased, began, tuple(saved))
        note(target, done)
    return done


def _base_copy(settings: Settings, target: Path, binaries: Path | None) -> str:
    """The name of the new folder below `postgres/`."""
    began = utc_now().replace(":", "")
    aside = target / POSTGRES / f".{began}.aside"
    aside.mkdir(parents=True)
    try:
        base_backup(settings.stores.postgres_url, aside, binaries=binaries)
        aside.rename(target / POSTGRES / began)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return began


def backups(target: Path) -> list[ServicesBackup]:
    """Every moment from which the log can be followed, oldest first. Raises CorruptError."""
    return backup_objects.moments(target, ServicesBackup)


def prune(target: Path, keep: int) -> int:
    """Drop all but the last `keep`, with what only they held; the number of objects removed. The log is pg_archivecleanup's."""
    target = Path(target)
    with alone(target):
        kept, gone = backup_objects.prune(target, keep, ServicesBackup, lambda one: one.objects)
        for folder in (p for p in (target / POSTGRES).glob("*") if p.name not in {b.postgres for b in kept}):
            shutil.rmtree(folder)
    return gone


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
    try:
        sha256, _ = put(target, key, partial(archive.copy_to, key))
    except NotFound:
        return None
    return SavedObject(key, size, etag, sha256)
