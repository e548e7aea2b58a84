"""Files that survive a crash: written aside, synced, renamed, under a lock. The archive, the ledger and the shelf stand on this."""

import fcntl
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make renames in the folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(path: Path) -> None:
    """Make the bytes of a file that another library wrote durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace_file(path: Path, data: bytes) -> None:
    """Give `path` these bytes, in one step. A crash leaves the old bytes or the new ones."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(6)}.aside")
    try:
        with open(aside, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(path.parent)


def remove_old(paths: Iterable[Path], min_age_s: float) -> int:
    """Delete the files among them that were last written so long ago; how many. What others take meanwhile is none."""
    old, gone = time.time() - min_age_s, 0
    for path in paths:
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < old:
                path.unlink()
                gone += 1
    return gone


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process (and one thread) at a time inside the block. The kernel lets go of the lock when its holder dies."""
    with open(path, "ab") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
