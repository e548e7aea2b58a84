"""What the backups of both profiles share: bytes kept by their content, one list of them for each moment, one worker at a time.

    target/objects/ab/abcd…     the bytes with that SHA-256
    target/backups/<moment>.json   which of them a moment had: the last to be written, so that a moment is whole or not there

What is saved, and in which order, is backup.py and backup_services.py.
"""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar

from khung.errors import CorruptError, NotFound, StoreError
from khung.shards import manifest
from khung.stores.durable import replace_file, sync_folder

BACKUPS, OBJECTS = "backups", "objects"
_ASIDE = ".aside-"
Tell = Callable[[int, int], None]
"""Told how many of how many files are through."""


class Moment(Protocol):
    """The list of one moment."""

    at: str  # ISO 8601, UTC


M = TypeVar("M", bound=Moment)


@contextmanager
def alone(target: Path) -> Iterator[None]:
    """The one who saves or prunes: what one is just bringing is no rubbish to the other. Raises StoreError."""
    target.mkdir(parents=True, exist_ok=True)
    with open(target / ".lock", "ab") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(
                f"Another khung is saving or pruning in {target}.", cure="Try when it is through."
            ) from error
        yield


def put(target: Path, name: str, write: Callable[[BinaryIO], object]) -> tuple[str, int]:
    """Keep what `write` writes; its SHA-256 and size in bytes. `name` is for the error."""
    folder = target / OBJECTS
    folder.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=folder, prefix=_ASIDE)
    try:
        with os.fdopen(handle, "w+b") as out:
            write(out)
            out.flush()
            os.fsync(out.fileno())
            size_bytes = out.seek(0, os.SEEK_END)
            out.seek(0)
            sha256 = hashlib.file_digest(out, "sha256").hexdigest()
        final = object_path(target, sha256)
        final.parent.mkdir(exist_ok=True)
        if not final.exists():
            os.replace(aside, final)
    except OSError as error:
        raise StoreError(f"{name} could not be saved: {error}.", cure="Is the backup's disk full?") from error
    finally:
        Path(aside).unlink(missing_ok=True)
    return sha256, size_bytes


def has(target: Path, sha256: str) -> bool:
    return object_path(target, sha256).exists()


def fetch(target: Path, name: str, sha256: str) -> Path:
    """The file with those bytes, checked. Raises CorruptError."""
    path = object_path(target, sha256)
    try:
        with open(path, "rb") as data:
            sound = hashlib.file_digest(data, "sha256").hexdigest() == sha256
    except FileNotFoundError as error:
        raise CorruptError(f"The backup has lost {name}.") from error
    if not sound:
        raise CorruptError(f"The backup's copy of {name} is damaged.")
    return path


def object_path(target: Path, sha256: str) -> Path:
    """Where the bytes with this checksum are kept."""
    return target / OBJECTS / sha256[:2] / sha256


def note(target: Path, moment: Moment) -> None:
    """Write the list, now that everything it names is there for good."""
    if (target / OBJECTS).is_dir():
        for folder in (target / OBJECTS, *(p for p in (target / OBJECTS).iterdir() if p.is_dir())):
            sync_folder(folder)
    (target / BACKUPS).mkdir(parents=True, exist_ok=True)
    replace_file(target / BACKUPS / f"{moment.at.replace(':', '')}.json", manifest.encode(moment))


def moments(target: Path, cls: type[M]) -> list[M]:
    """Every moment that can be restored, oldest first. Raises CorruptError."""
    return [manifest.read(path, cls) for path in sorted((Path(target) / BACKUPS).glob("*.json"))]


def made_until(target: Path, everything: Sequence[M], at: str) -> M:
    """The newest at or before a moment; of all, when none is named. Raises NotFound."""
    fitting = [one for one in everything if not at or one.at <= at]
    if not fitting:
        raise NotFound(f"{target} has no backup{f' made until {at}' if at else ''}.")
    return fitting[-1]


def prune(target: Path, keep: int, cls: type[M], objects_of: Callable[[M], Sequence[Any]]) -> tuple[list[M], int]:
    """Drop all moments but the last `keep`, and the objects that only they held: what is kept, and how many went. What a backup that
    was killed left aside goes too. Only for who is `alone`."""
    for path in sorted((target / BACKUPS).glob("*.json"))[: -max(keep, 1)]:
        path.unlink()
    kept = moments(target, cls)
    wanted = {one.sha256 for moment in kept for one in objects_of(moment)}
    gone = [path for path in (target / OBJECTS).glob("*/*") if path.name not in wanted]
    for path in (*gone, *(target / OBJECTS).glob(f"{_ASIDE}*")):
        path.unlink()
    return kept, len(gone)
