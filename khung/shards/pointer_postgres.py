"""The pointer in PostgreSQL, for many machines: a move is one inserted row, and a version can be taken only once.

Read it from the primary: a replica may lag. The files that it names are brought by mirror.py.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from khung.shards.pointer import ANY, Move, Pointer, check_expected
from khung.stores.postgres import Postgres

if TYPE_CHECKING:
    from psycopg import Connection

_READ = (
    "SELECT version, snapshot_id, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS') || '+00:00', reason "
    "FROM pointer_moves ORDER BY version"
)


class PostgresPointer:
    """The moves so far, in the database."""

    def __init__(self, database: Postgres) -> None:
        self._database = database

    def read(self) -> Pointer:
        return self._database.transaction(_read)

    def move(self, snapshot_id: str, reason: str, *, expect: str | None = ANY) -> Pointer:
        """Point to `snapshot_id` if the pointer still is at `expect` (None: at nothing); else PublishConflict."""

        def work(db: "Connection[Any]") -> Pointer:
            db.execute("LOCK TABLE pointer_moves IN SHARE ROW EXCLUSIVE MODE")  # one publisher at a time; readers go on
            old = _read(db)
            if old.current == snapshot_id:
                return old  # also when the answer to our own commit was lost and the work is repeated
            check_expected(old, expect)
            db.execute(
                "INSERT INTO pointer_moves (version, snapshot_id, reason) VALUES (%s, %s, %s)",
                (old.version + 1, snapshot_id, reason),
            )
            return _read(db)

        return self._database.transaction(work)

    def forget(self, snapshot_ids: Collection[str]) -> None:
        """Take snapshots out of the history, so that nobody rolls back to them. The one in service stays."""
        sql = (
            "DELETE FROM pointer_moves WHERE snapshot_id = ANY(%s) "
            "AND version < (SELECT max(version) FROM pointer_moves)"
        )
        self._database.transaction(lambda db: db.execute(sql, (list(snapshot_ids),)))


def _read(db: "Connection[Any]") -> Pointer:
    return Pointer(tuple(Move(*row) for row in db.execute(_READ)))
