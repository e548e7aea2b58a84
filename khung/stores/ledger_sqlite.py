"""The Ledger in one SQLite file (WAL): many processes read, writers take turns.

DuckDB cannot be written by several processes, hence SQLite here and DuckDB for the sealed records.
"""

import json
import os
import sqlite3
import threading
from collections.abc import Collection, Iterable
from dataclasses import astuple, fields
from pathlib import Path

from khung.errors import StoreError
from khung.stores import BY_INVITATION, LedgerEntry
from khung.stores.durable import locked
from khung.timecode import utc_now

_VERSION = 1
_SCHEMA = """
CREATE TABLE claims (
    video_id TEXT PRIMARY KEY,
    sha256 TEXT NOT NULL,
    source_name TEXT NOT NULL,
    linked_to TEXT NOT NULL DEFAULT '',
    claimed_at TEXT NOT NULL
) STRICT;
CREATE INDEX claims_by_content ON claims (sha256);
CREATE UNIQUE INDEX claims_one_owner ON claims (sha256) WHERE linked_to = '';
CREATE TABLE entries (
    video_id TEXT NOT NULL,
    stage TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    code_version TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (video_id, stage)
) STRICT;
CREATE INDEX entries_by_state ON entries (stage, state);
"""
_COLUMNS = ", ".join(f.name for f in fields(LedgerEntry))
OWN_STATE = f"CASE WHEN stage NOT IN {BY_INVITATION} THEN state END"
_STATES = f"SELECT video_id, group_concat(DISTINCT {OWN_STATE}) FROM entries GROUP BY video_id"


def suffixed(video_id: str, number: int) -> str:
    """`name_2`, `name_3`, …, never longer than a video id may be."""
    tail = f"_{number}"
    return video_id[: 120 - len(tail)] + tail


def by_video(rows: Iterable[tuple[str, str | None]]) -> dict[str, frozenset[str]]:
    """Of videos with their states, commas between."""
    return {video_id: frozenset(states.split(",") if states else ()) for video_id, states in rows}


class SqliteLedger:
    """A Ledger in the file `path`. Each thread has its own connection; forked children make new ones."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._local = threading.local()
        with locked(self.path.with_name(self.path.name + ".lock")):
            self._create()

    def claim(self, sha256: str, source_name: str, video_id: str) -> tuple[str, str]:
        with self._write() as db:
            rows = db.execute(
                "SELECT video_id, source_name, linked_to FROM claims WHERE sha256 = ? ORDER BY claimed_at, video_id",
                (sha256,),
            ).fetchall()
            for known_id, known_name, linked_to in rows:
                if known_id == video_id or known_name == source_name:
                    return known_id, linked_to
            owner = next((known_id for known_id, _, linked_to in rows if not linked_to), "")
            free = self._free_name(db, video_id)
            db.execute("INSERT INTO claims VALUES (?, ?, ?, ?, ?)", (free, sha256, source_name, owner, utc_now()))
            if owner:
                entry = LedgerEntry(free, "videos", "linked", detail=f"The same content as {owner}.")
                self._put(db, [entry])
            return free, owner

    def claimed(self, names: Collection[str]) -> set[str]:
        found = set()
        for column in ("source_name", "video_id"):
            sql = f"SELECT {column} FROM claims WHERE {column} IN (SELECT value FROM json_each(?))"
            found.update(name for (name,) in self._connection().execute(sql, (json.dumps(list(names)),)))
        return found

    def put(self, entries: Iterable[LedgerEntry]) -> None:
        with self._write() as db:
            self._put(db, entries)

    def get(self, video_id: str) -> dict[str, LedgerEntry]:
        rows = self._connection().execute(f"SELECT {_COLUMNS} FROM entries WHERE video_id = ?", (video_id,))
        return {entry.stage: entry for entry in (LedgerEntry(*row) for row in rows)}

    def find(
        self, *, stage: str | None = None, state: str | None = None, videos: Collection[str] | None = None
    ) -> list[LedgerEntry]:
        asked = {name: value for name, value in (("stage", stage), ("state", state)) if value is not None}
        where = " AND ".join(["true", *(f"{name} = :{name}" for name in asked)])
        if videos is not None:
            asked["videos"] = json.dumps(list(videos))
            where += " AND video_id IN (SELECT value FROM json_each(:videos))"
        rows = self._connection().execute(
            f"SELECT {_COLUMNS} FROM entries WHERE {where} ORDER BY video_id, stage", asked
        )
        return [LedgerEntry(*row) for row in rows]

    def counts(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        rows = self._connection().execute("SELECT stage, state, count(*) FROM entries GROUP BY 1, 2 ORDER BY 1, 2")
        for stage, state, number in rows:
            found.setdefault(stage, {})[state] = number
        return found

    def states(self) -> dict[str, frozenset[str]]:
        return by_video(self._connection().execute(_STATES))

    def mark(self) -> str:
        number, newest = self._connection().execute("SELECT count(*), max(updated_at) FROM entries").fetchone()
        return f"{number} lines, the newest of {newest}"

    def claims(self) -> list[tuple[str, str, str]]:
        """(video_id, sha256, source_name) of every file that was registered, owners of a content before what is linked to them."""
        sql = "SELECT video_id, sha256, source_name FROM claims ORDER BY linked_to <> '', claimed_at, video_id"
        return [tuple(row) for row in self._connection().execute(sql)]

    def forget(self, video_id: str) -> None:
        """The video and everything that was linked to it: they are the same content."""
        with self._write() as db:
            ids = [
                video_id,
                *(r[0] for r in db.execute("SELECT video_id FROM claims WHERE linked_to = ?", (video_id,))),
            ]
            for table in ("claims", "entries"):
                db.executemany(f"DELETE FROM {table} WHERE video_id = ?", [(i,) for i in ids])

    def close(self) -> None:
        """Close this thread's connection."""
        if getattr(self._local, "pid", None) == os.getpid():
            self._local.db.close()
        self._local = threading.local()

    @staticmethod
    def _free_name(db: sqlite3.Connection, video_id: str) -> str:
        name, number = video_id, 1
        while db.execute("SELECT 1 FROM claims WHERE video_id = ?", (name,)).fetchone():
            number += 1
            name = suffixed(video_id, number)
        return name

    @staticmethod
    def _put(db: sqlite3.Connection, entries: Iterable[LedgerEntry]) -> None:
        now = utc_now()
        marks = ", ".join("?" for _ in fields(LedgerEntry))
        db.executemany(
            f"INSERT OR REPLACE INTO entries ({_COLUMNS}) VALUES ({marks})",
            [(*astuple(entry)[:-1], now) for entry in entries],
        )

    def _create(self) -> None:
        self._connection().execute(
            "PRAGMA journal_mode = WAL"
        )  # stays in the file; two at once would fail, hence the lock
        with self._write() as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version > _VERSION:
                raise StoreError(f"{self.path} was written by a newer khung.", cure="Update khung.")
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {_VERSION}")

    def _connection(self) -> sqlite3.Connection:
        if getattr(self._local, "pid", None) != os.getpid():
            db = sqlite3.connect(self.path, timeout=60, isolation_level=None)
            db.execute("PRAGMA synchronous = NORMAL")  # WAL: a power cut may lose the last states, never the file
            self._local.db, self._local.pid = db, os.getpid()
        return self._local.db

    def _write(self) -> "_Transaction":
        return _Transaction(self._connection())


class _Transaction:
    """BEGIN IMMEDIATE … COMMIT: the write lock is taken before the first read, so what was read still holds."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def __enter__(self) -> sqlite3.Connection:
        self.db.execute("BEGIN IMMEDIATE")
        return self.db

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.db.execute("COMMIT" if kind is None else "ROLLBACK")
