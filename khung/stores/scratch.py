"""Folders for a moment. Each goes when its block ends; what a process that was killed left behind goes when a later one begins.

A folder is held by a lock of the kernel's, which ends with the process, however that ends. What is to last is durable.py.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

PREFIX = "khung-scratch-"
GRACE_S = 60.0  # between a folder's making and its lock there is a moment


@contextmanager
def scratch_folder(purpose: str) -> Iterator[Path]:
    """A new folder among the temporary files, there until the block ends. `purpose` stands in its name, for people."""
    _sweep_once(tempfile.gettempdir())
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{purpose}-"))
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(handle)
        _remove(folder)


def sweep(temporary: Path) -> list[str]:
    """Take away the folders that nobody holds any more; their names. Those of other users are theirs."""
    gone = []
    for path in Path(temporary).glob(f"{PREFIX}*"):
        try:
            told = path.stat(follow_symlinks=False)
            if told.st_uid == os.geteuid() and time.time() - told.st_mtime > GRACE_S and _let_go(path):
                shutil.rmtree(path, ignore_errors=True)
                gone.append(path.name)
        except (FileNotFoundError, NotADirectoryError, PermissionError):  # taken meanwhile, or no folder
            continue
    return gone


def _let_go(folder: Path) -> bool:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


@cache
def _sweep_once(temporary: str) -> None:
    """Once a process: whoever was killed meanwhile is the next one's business."""
    sweep(Path(temporary))


def _remove(folder: Path) -> None:
    """Even while a library's own thread still lays a lock or a list into it."""
    for _ in range(50):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.01)
