"""Backups of the embedded profile: every file of archive, shelf and ledger by its content, and one list of them for each moment.

A backup copies only what is new; restoring any of them is the same work. What was erased since then is erased again after a
restore. PostgreSQL has its own way (stores/postgres_backup.py), S3 its own replication.
"""

import contextlib
import hashlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from khung.errors import CorruptError, NotFound, StoreError
from khung.records import check_video_id
from khung.shards import manifest, pointer
from khung.shards.erase import erase, erased
from khung.shards.snapshot import Snapshot, check, read_manifest
from khung.stores.archive_local import ASIDE, LocalArchive
from khung.stores.durable import replace_file, sync_folder
from khung.stores.ledger_sqlite import SqliteLedger
from khung.stores.library import Library
from khung.timecode import utc_now

ARCHIVE, SHELF, LEDGER = "archive", "shelf", "ledger.sqlite"
BACKUPS, OBJECTS = "backups", "objects"


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


def backup(home: Path, target: Path, *, tell: Callable[[int, int], None] = lambda *_: None) -> Backup:
    """Save the home folder as it is now. Running work may go on: each file is whole, and the snapshot in service is held.
    `tell` hears how many of how many files are through."""
    home, target = Path(home), Path(target)
    before = {f.path: f for f in backups(target)[-1].files} if backups(target) else {}
    at = utc_now()
    with contextlib.ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="khung-backup-")))
        now = _hold_pointer(home, work, stack)
        wanted, files = list(_to_save(home, work)), []
        for number, (name, path) in enumerate(wanted, 1):
            if file := _save(target, path, name, before.get(name)):
                files.append(file)
            tell(number, len(wanted))
        saved = Backup(manifest.SCHEMA_VERSION, at, now or "", tuple(erased(home / SHELF)), tuple(files))
    (target / BACKUPS).mkdir(parents=True, exist_ok=True)
    replace_file(target / BACKUPS / f"{at.replace(':', '')}.json", manifest.encode(saved))
    return saved


def backups(target: Path) -> list[Backup]:
    """Every moment that can be restored, oldest first. Raises CorruptError."""
    return [manifest.read(path, Backup) for path in sorted((Path(target) / BACKUPS).glob("*.json"))]


def restore(target: Path, home: Path, *, at: str = "", tell: Callable[[int, int], None] = lambda *_: None) -> Restored:
    """Bring back the last backup made at or before `at` (ISO 8601, UTC; empty: the newest) into a home that is not there yet.

    Every file is checked on the way, then the snapshot as at its publishing; what was erased later is erased again. Raises
    NotFound, StoreError when the home is there, CorruptError with the home left as it was.
    """
    target, home = Path(target), Path(home)
    everything = backups(target)
    fitting = [b for b in everything if not at or b.at <= at]
    if not fitting:
        raise NotFound(f"{target} has no backup{f' made until {at}' if at else ''}.")
    if home.exists() and any(home.iterdir()):
        raise StoreError(f"{home} is not empty.", cure="Restore into a new folder, look at it, then rename it.")
    aside = home.with_name(f"{home.name}.restoring")
    shutil.rmtree(aside, ignore_errors=True)
    for number, file in enumerate(fitting[-1].files, 1):
        _bring(target, aside, file)
        tell(number, len(fitting[-1].files))
    later = sorted(set(everything[-1].erased) - set(fitting[-1].erased))
    _forget(aside, later)
    counted = _check(aside, fitting[-1], later)
    home.parent.mkdir(parents=True, exist_ok=True)
    if home.exists():
        home.rmdir()
    os.rename(aside, home)
    sync_folder(home.parent)
    return counted


def prune(target: Path, keep: int) -> int:
    """Drop all backups but the last `keep`, and what only they held; the number of objects removed."""
    target = Path(target)
    paths = sorted((target / BACKUPS).glob("*.json"))
    for path in paths[: -max(keep, 1)]:
        path.unlink()
    wanted = {file.sha256 for one in backups(target) for file in one.files}
    gone = [path for path in (target / OBJECTS).glob("*/*") if path.name not in wanted]
    for path in gone:
        path.unlink()
    return len(gone)


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
    """`(path below home, file)`. The pointer is the copy that was held, the ledger a copy made by SQLite."""
    for top in (SHELF, ARCHIVE):
        for path in sorted((home / top).rglob("*")):
            inside = path.relative_to(home)
            hidden = any(part.startswith(".") for part in inside.parts)
            if path.is_file() and not path.is_symlink() and not hidden and path.suffix != ".lock":
                held = path.name == pointer.POINTER and path.parent == home / SHELF
                yield inside.as_posix(), work / pointer.POINTER if held else path
    if (home / LEDGER).exists():
        with (
            contextlib.closing(sqlite3.connect(home / LEDGER)) as source,
            contextlib.closing(sqlite3.connect(work / LEDGER)) as copy,
        ):
            source.backup(copy)
        yield LEDGER, work / LEDGER


def _save(target: Path, path: Path, name: str, before: SavedFile | None) -> SavedFile | None:
    """A file with the size and time that it had at the last backup is the same file; None when it was deleted meanwhile."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    if (
        before
        and (before.size_bytes, before.modified_ns) == (found.st_size, found.st_mtime_ns)
        and object_path(target, before.sha256).exists()
    ):
        return before
    folder = target / OBJECTS
    folder.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=folder, prefix=ASIDE)
    try:
        with open(path, "rb") as source, os.fdopen(handle, "wb") as out:
            state = hashlib.sha256()
            while piece := source.read(1 << 20):
                state.update(piece)
                out.write(piece)
            out.flush()
            os.fsync(out.fileno())
            size = out.tell()
        final = object_path(target, state.hexdigest())
        final.parent.mkdir(exist_ok=True)
        if not final.exists():
            os.replace(aside, final)
    except OSError as error:
        raise StoreError(f"{name} could not be saved: {error}.", cure="Is the backup's disk full?") from error
    finally:
        Path(aside).unlink(missing_ok=True)
    return SavedFile(name, size, found.st_mtime_ns, state.hexdigest())


def _bring(target: Path, home: Path, file: SavedFile) -> None:
    path = home / file.path
    if not path.resolve().is_relative_to(home.resolve()):
        raise CorruptError(f"The backup names a path outside: {file.path}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(object_path(target, file.sha256), path)
    except FileNotFoundError as error:
        raise CorruptError(f"The backup has lost {file.path}.") from error
    with open(path, "rb") as data:
        if hashlib.file_digest(data, "sha256").hexdigest() != file.sha256:
            raise CorruptError(f"The backup's copy of {file.path} is damaged.")
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


def _check(home: Path, saved: Backup, later: list[str]) -> Restored:
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
    return Restored(saved.at, now or "", videos, frames, len(saved.files), tuple(later))


def object_path(target: Path, sha256: str) -> Path:
    """Where a backup keeps the bytes with this checksum."""
    return target / OBJECTS / sha256[:2] / sha256
