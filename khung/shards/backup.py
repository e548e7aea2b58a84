"""Backups of the embedded profile: archive, shelf, ledger, API keys and a contest's answers, by content, and a list for each moment.

A backup copies only what is new; restoring any of them is the same work. What was erased since then is erased again after a
restore, and the keys are those of the newest backup, so that none comes back that was revoked. How bytes and lists are kept is
backup_objects.py; the services have backup_services.py. What can be made or fetched again is not saved: models, the inbox's book, the
key that signs cookies.
"""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from khung.errors import CorruptError, StoreError
from khung.records import check_video_id
from khung.shards import backup_objects, manifest, pointer
from khung.shards.backup_objects import Tell, alone, fetch, has, made_until, note, put
from khung.shards.erase import erase, erased
from khung.shards.snapshot import Snapshot, check, read_manifest
from khung.stores.archive_local import LocalArchive
from khung.stores.durable import sync_folder
from khung.stores.ledger_sqlite import SqliteLedger
from khung.stores.library import Library
from khung.stores.scratch import scratch_folder
from khung.timecode import utc_now

ARCHIVE, SHELF, LEDGER = "archive", "shelf", "ledger.sqlite"
CONTEST, KEYS = "contest.sqlite", "keys.json"


@dataclass(frozen=True, slots=True)
class SavedFile:
    """One file as it was, by its path below the home folder."""

    path: str
    size_bytes: int
    modified_ns: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Backup:
    """The list of one moment."""

    schema_version: int
    at: str  # ISO 8601, UTC
    snapshot_id: str  # in service then; empty before the first
    erased: tuple[str, ...]  # videos erased until then
    files: tuple[SavedFile, ...]


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back, as counted after the checks."""

    at: str
    snapshot_id: str
    videos: int
    frames: int
    files: int
    erased_again: tuple[str, ...]


def backup(home: Path, target: Path, *, tell: Tell = lambda *_: None) -> Backup:
    """Save the home folder as it is now. Running work may go on: each file is whole, and the snapshot in service is held.
    `tell` hears how many of how many files are through. Raises StoreError, also while another is saving there."""
    home, target = Path(home), Path(target)
    with alone(target), scratch_folder("backup") as work, contextlib.ExitStack() as stack:
        known = backups(target)
        before = {f.path: f for f in known[-1].files} if known else {}
        at, now = utc_now(), _hold_pointer(home, work, stack)
        wanted, files = list(_to_save(home, work)), []
        for number, (name, path) in enumerate(wanted, 1):
            if file := _save(target, path, name, before.get(name)):
                files.append(file)
            tell(number, len(wanted))
        saved = Backup(manifest.SCHEMA_VERSION, at, now or "", tuple(erased(home / SHELF)), tuple(files))
        note(target, saved)
    return saved


def backups(target: Path) -> list[Backup]:
    """Every moment that can be restored, oldest first. Raises CorruptError."""
    return backup_objects.moments(target, Backup)


def restore(target: Path, home: Path, *, at: str = "", tell: Tell = lambda *_: None) -> Restored:
    """Bring back the last backup made at or before `at` (ISO 8601, UTC; empty: the newest) into a home that is not there yet.

    Every file is checked on the way, then the snapshot as at its publishing; what was erased later is erased again. Raises
    NotFound, StoreError when the home is there, CorruptError with the home left as it was.
    """
    target, home = Path(target), Path(home)
    everything = backups(target)
    chosen = made_until(target, everything, at)
    if home.exists() and any(home.iterdir()):
        raise StoreError(f"{home} is not empty.", cure="Restore into a new folder, look at it, then rename it.")
    aside = home.with_name(f"{home.name}.restoring")
    shutil.rmtree(aside, ignore_errors=True)
    files = [*(f for f in chosen.files if f.path != KEYS), *(f for f in everything[-1].files if f.path == KEYS)]
    for number, file in enumerate(files, 1):
        _bring(target, aside, file)
        tell(number, len(files))
    later = sorted(set(everything[-1].erased) - set(chosen.erased))
    _forget(aside, later)
    counted = _check(aside, chosen, len(files), later)
    home.parent.mkdir(parents=True, exist_ok=True)
    if home.exists():
        home.rmdir()
    os.rename(aside, home)
    sync_folder(home.parent)
    return counted


def prune(target: Path, keep: int) -> int:
    """Drop all backups but the last `keep`, and what only they held; the number of objects removed. Raises StoreError."""
    with alone(Path(target)):
        return backup_objects.prune(Path(target), keep, Backup, lambda one: one.files)[1]


def _hold_pointer(home: Path, work: Path, stack: contextlib.ExitStack) -> str | None:
    """Copy the pointer first and hold the snapshot that it names: what is published meanwhile belongs to the next backup."""
    path = home / SHELF / pointer.POINTER
    if not path.exists():
        return None
    shutil.copy2(path, work / pointer.POINTER)
    now = manifest.read(work / pointer.POINTER, pointer.Pointer).current
    if now:
        stack.enter_context(Snapshot.open(home / SHELF, now, verify=False))
    return now


def _to_save(home: Path, work: Path) -> Iterator[tuple[str, Path]]:
    """`(path below home, file)`. The pointer is the copy that was held, databases are copies made by SQLite."""
    for top in (SHELF, ARCHIVE):
        for path in sorted((home / top).rglob("*")):
            inside = path.relative_to(home)
            hidden = any(part.startswith(".") for part in inside.parts)
            if path.is_file() and not path.is_symlink() and not hidden and path.suffix != ".lock":
                held = path.name == pointer.POINTER and path.parent == home / SHELF
                yield inside.as_posix(), work / pointer.POINTER if held else path
    if (home / KEYS).exists():
        yield KEYS, home / KEYS
    for name in (LEDGER, CONTEST):
        if (home / name).exists():
            with (
                contextlib.closing(sqlite3.connect(home / name)) as source,
                contextlib.closing(sqlite3.connect(work / name)) as copy,
            ):
                source.backup(copy)
            yield name, work / name


def _save(target: Path, path: Path, name: str, before: SavedFile | None) -> SavedFile | None:
    """A file with the size and time that it had at the last backup is the same file; None when it was deleted meanwhile."""
    try:
        with open(path, "rb") as source:
            found = os.fstat(source.fileno())
            told = (found.st_size, found.st_mtime_ns)
            if before and told == (before.size_bytes, before.modified_ns) and has(target, before.sha256):
                return before
            sha256, size_bytes = put(target, name, partial(shutil.copyfileobj, source, length=1 << 20))
    except FileNotFoundError:
        return None
    return SavedFile(name, size_bytes, found.st_mtime_ns, sha256)


def _bring(target: Path, home: Path, file: SavedFile) -> None:
    path = home / file.path
    if not path.resolve().is_relative_to(home.resolve()):
        raise CorruptError(f"The backup names a path outside: {file.path}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(fetch(target, file.path, file.sha256), path)
    os.utime(path, ns=(file.modified_ns, file.modified_ns))


def _forget(home: Path, video_ids: list[str]) -> None:
    if not video_ids:
        return
    erase(home / SHELF, video_ids)
    library, ledger = Library(LocalArchive(home / ARCHIVE)), SqliteLedger(home / LEDGER)
    for video_id in map(check_video_id, video_ids):
        library.delete_video(video_id)
        ledger.forget(video_id)
    ledger.close()


def _check(home: Path, saved: Backup, files: int, later: list[str]) -> Restored:
    now = pointer.read(home / SHELF).current if (home / SHELF).exists() else None
    videos = frames = 0
    if now:
        sealed = read_manifest(home / SHELF, now)
        check(home / SHELF, sealed)
        videos, frames = sealed.videos, sealed.frames
    if not later and (now or "") != saved.snapshot_id:
        raise CorruptError(
            f"The backup says that {saved.snapshot_id or 'nothing'} was in service, its pointer says {now}."
        )
    return Restored(saved.at, now or "", videos, frames, files, tuple(later))
