"""The Ledger in PostgreSQL: the same promises as in SQLite, for kitchens on many machines."""

from collections.abc import Collection, Iterable
from dataclasses import astuple, fields
from typing import TYPE_CHECKING, Any

from khung.stores import LedgerEntry
from khung.stores.ledger_sqlite import OWN_STATE, by_video, suffixed
from khung.stores.postgres import Postgres

if TYPE_CHECKING:
    from psycopg import Connection

_NAMES = [f.name for f in fields(LedgerEntry)]
_COLUMNS = ", ".join(_NAMES[:-1])
_READ = f"SELECT {_COLUMNS}, to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS') || '+00:00' FROM entries"

_STATES = f"SELECT video_id, string_agg(DISTINCT {OWN_STATE}, ',') FROM entries GROUP BY video_id"


class PostgresLedger:
    """A Ledger in the database."""

    def __init__(self, database: Postgres) -> None:
        self._database = database

    def claim(self, sha256: str, source_name: str, video_id: str) -> tuple[str, str]:
        def work(db: "Connection[Any]") -> tuple[str, str]:
            db.execute("LOCK TABLE claims IN SHARE ROW EXCLUSIVE MODE")  # one claim at a time; readers go on
            rows = db.execute(
                "SELECT video_id, source_name, linked_to FROM claims WHERE sha256 = %s ORDER BY claimed_at, video_id",
                (sha256,),
            ).fetchall()
            for known_id, known_name, linked_to in rows:
                if known_id == video_id or known_name == source_name:
                    return known_id, linked_to
            owner = next((known_id for known_id, _, linked_to in rows if not linked_to), "")
            free = _free_name(db, video_id)
            db.execute(
                "INSERT INTO claims (video_id, sha256, source_name, linked_to) VALUES (%s, %s, %s, %s)",
                (free, sha256, source_name, owner),
            )
            if owner:
                _put(db, [LedgerEntry(free, "videos", "linked", detail=f"The same content as {owner}.")])
            return free, owner

        return self._database.transaction(work)

    def claimed(self, names: Collection[str]) -> set[str]:
        sql = "SELECT source_name FROM claims WHERE source_name = ANY(%(names)s) UNION SELECT video_id FROM claims WHERE video_id = ANY(%(names)s)"
        asked = {"names": list(names)}
        return {name for (name,) in self._database.transaction(lambda db: db.execute(sql, asked).fetchall())}

    def put(self, entries: Iterable[LedgerEntry]) -> None:
        rows = list(entries)
        self._database.transaction(lambda db: _put(db, rows))

    def get(self, video_id: str) -> dict[str, LedgerEntry]:
        return {entry.stage: entry for entry in self._read("WHERE video_id = %s", (video_id,))}

    def find(
        self, *, stage: str | None = None, state: str | None = None, videos: Collection[str] | None = None
    ) -> list[LedgerEntry]:
        asked = {name: value for name, value in (("stage", stage), ("state", state)) if value is not None}
        where = " AND ".join(["true", *(f"{name} = %s" for name in asked)])
        if videos is not None:
            where, asked["videos"] = f"{where} AND video_id = ANY(%s)", list(videos)
        return self._read(f"WHERE {where} ORDER BY video_id, stage", tuple(asked.values()))

    def counts(self) -> dict[str, dict[str, int]]:
        sql = "SELECT stage, state, count(*) FROM entries GROUP BY 1, 2 ORDER BY 1, 2"
        found: dict[str, dict[str, int]] = {}
        for stage, state, number in self._database.transaction(lambda db: db.execute(sql).fetchall()):
            found.setdefault(stage, {})[state] = number
        return found

    def states(self) -> dict[str, frozenset[str]]:
        return by_video(self._database.transaction(lambda db: db.execute(_STATES).fetchall()))

    def mark(self) -> str:
        sql = "SELECT count(*), max(updated_at) FROM entries"
        number, newest = self._database.transaction(lambda db: db.execute(sql).fetchone())
        return f"{number} lines, the newest of {newest}"

    def forget(self, video_id: str) -> None:
        def work(db: "Connection[Any]") -> None:
            ids = [r[0] for r in db.execute("SELECT video_id FROM claims WHERE linked_to = %s", (video_id,))]
            for table in ("claims", "entries"):
                db.execute(f"DELETE FROM {table} WHERE video_id = ANY(%s)", ([video_id, *ids],))

        self._database.transaction(work)

    def close(self) -> None:
        self._database.close()

    def _read(self, condition: str, values: tuple[Any, ...]) -> list[LedgerEntry]:
        rows = self._database.transaction(lambda db: db.execute(f"{_READ} {condition}", values).fetchall())
        return [LedgerEntry(*row) for row in rows]


def _free_name(db: "Connection[Any]", video_id: str) -> str:
    name, number = video_id, 1
    while db.execute("SELECT 1 FROM claims WHERE video_id = %s", (name,)).fetchone():
        number += 1
        name = suffixed(video_id, number)
    return name


def _put(db: "Connection[Any]", entries: list[LedgerEntry]) -> None:
    """A full upsert. Sorted, so that two writers take their row locks in one order and cannot block one another for ever."""
    marks = ", ".join("%s" for _ in _NAMES[:-1])
    new = ", ".join(f"{name} = excluded.{name}" for name in _NAMES[2:])
    rows = [astuple(entry)[:-1] for entry in {(e.video_id, e.stage): e for e in entries}.values()]
    with db.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO entries ({_COLUMNS}, updated_at) VALUES ({marks}, clock_timestamp()) "
            f"ON CONFLICT (video_id, stage) DO UPDATE SET {new}",
            sorted(rows),
        )
