"""The inbox: which files of a folder are wholly there and have not been taken yet.

A file is ready when its size and times of change are the same as one look before, or when it says itself that it is whole, as uploads do; one
that could not be read comes up again when its rights change. The looks are kept in a small SQLite file beside the ledger, because the folder stays as its owner has it:
nothing in it is moved or deleted. What a file is does not matter here, only whether it may be one.
"""

import os
import re
import sqlite3
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from khung.stores.whole import is_whole

VIDEO_NAME = re.compile(
    r"\.(3gp|asf|avi|dv|f4v|flv|gif|ivf|m[124]v|m2?ts|mkv|mov|mp4|mpe?g|mxf|og[mv]|qt|rm|rmvb|ts|vob|webm|wmv|y4m)$",
    re.IGNORECASE,
)
"""Names that a video may have. A file named by hand on the command line needs none of them."""

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS looks (path BLOB PRIMARY KEY, signature TEXT NOT NULL, taken INTEGER NOT NULL) STRICT"
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file in the inbox as it was at one look."""

    path: Path
    signature: str  # size, and the times of the last change of its bytes and of its rights
    size_bytes: int


class Inbox:
    """The folder and the book of looks. One sensor uses it at a time."""

    def __init__(self, folder: Path, book: Path) -> None:
        self.folder, self.book = folder, book

    def look(self) -> tuple[list[Arrival], int]:
        """The files that are ready, oldest name first, and how many still change or are new. Remembers this look."""
        seen = list(arrivals(self.folder))
        with self._open() as db:
            known = {path: (signature, taken) for path, signature, taken in db.execute("SELECT * FROM looks")}
            fresh = [a for a in seen if known.get(os.fsencode(a.path), ("",))[0] != a.signature]
            whole = {a.path for a in fresh if is_whole(a.path, a.size_bytes)}
            ready = [a for a in seen if a.path in whole or known.get(os.fsencode(a.path)) == (a.signature, 0)]
            db.executemany(
                "INSERT OR REPLACE INTO looks VALUES (?, ?, 0)", [(os.fsencode(a.path), a.signature) for a in fresh]
            )
            gone = known.keys() - {os.fsencode(a.path) for a in seen}
            db.executemany("DELETE FROM looks WHERE path = ?", [(path,) for path in gone])
        return ready, len(fresh) - len(whole)

    def taken(self, arrivals: Iterable[Arrival]) -> None:
        """These were registered; they come up again only when they change."""
        with self._open() as db:
            db.executemany(
                "INSERT OR REPLACE INTO looks VALUES (?, ?, 1)", [(os.fsencode(a.path), a.signature) for a in arrivals]
            )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.book.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self.book, timeout=30)
        try:
            db.execute(_SCHEMA)
            with db:  # one transaction
                yield db
        finally:
            db.close()


def arrivals(folder: Path) -> Iterator[Arrival]:
    """Every file below `folder` that may be a video, in the order of names. Hidden files, half-named ones (`x.mp4.part`), pipes
    and symbolic links are no arrivals: a link could lead out of the inbox."""
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(base, name)
            if name.startswith(".") or not VIDEO_NAME.search(name) or path.is_symlink():
                continue
            try:
                told = path.stat()
            except FileNotFoundError:  # it went while we looked
                continue
            if not stat.S_ISREG(told.st_mode):
                continue
            yield Arrival(path, f"{told.st_size}:{told.st_mtime_ns}:{told.st_ctime_ns}", told.st_size)
