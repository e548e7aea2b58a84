"""One PostgreSQL database for the ledger, the records and the pointer: its pool and its migrations.

Migrations are the numbered files in `migrations/`, each applied once, in one transaction, under a lock; they only go forward.
"""

from collections.abc import Callable
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any, TypeVar

from khung.errors import ConfigError, Outage, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg import Connection

T = TypeVar("T")
_LOCK = 0x6B68756E67  # “khung”: the advisory lock of migrations
_TRIES = 3


class Postgres:
    """A pool of connections to a database whose schema is up to date. Thread-safe; not to be carried over a fork."""

    def __init__(
        self, url: str, *, schema: str = "khung", max_size: int = 8, migrate: bool = True, timeout_s: float = 10
    ) -> None:
        from psycopg_pool import ConnectionPool

        if not schema.isidentifier():
            raise ConfigError(f"“{schema}” cannot be a schema's name.")
        self.schema = schema
        self._pool: ConnectionPool[Connection[Any]] = ConnectionPool(
            url, min_size=1, max_size=max_size, timeout=timeout_s, open=False, check=ConnectionPool.check_connection,
            kwargs={"options": f"-c search_path={schema}", "connect_timeout": 5},
        )  # fmt: skip
        with _told():
            self._pool.open(wait=True, timeout=timeout_s)
            if migrate:
                self.migrate()

    def transaction(self, work: "Callable[[Connection[Any]], T]") -> T:
        """`work` in one transaction. It is begun anew when the server broke off before the commit, so it must bear repetition."""
        import psycopg
        from psycopg_pool import PoolTimeout

        with _told():
            for last_try in [False] * (_TRIES - 1) + [True]:
                try:
                    with self._pool.connection() as connection:
                        return work(connection)
                except (psycopg.OperationalError, psycopg.errors.SerializationFailure) as error:
                    if last_try or isinstance(error, PoolTimeout):  # the pool has waited for the server already
                        raise
        raise AssertionError("unreachable")

    def migrate(self, upto: int | None = None) -> int:
        """Apply what is missing; the version that the schema has now. Raises StoreError when it is newer than this khung."""
        steps = migrations()

        def work(connection: "Connection[Any]") -> int:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {self.schema}")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS migrations (version integer PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp())"
            )
            (version,) = connection.execute("SELECT coalesce(max(version), 0) FROM migrations").fetchone() or (0,)
            if version > len(steps):
                raise StoreError(
                    f"The database has schema {version}; this khung knows {len(steps)}.", cure="Update khung."
                )
            for number in range(version + 1, min(upto or len(steps), len(steps)) + 1):
                connection.execute(steps[number - 1])
                connection.execute("INSERT INTO migrations (version) VALUES (%s)", (number,))
                version = number
            return version

        return self.transaction(work)

    @property
    def closed(self) -> bool:
        return self._pool.closed

    def close(self) -> None:
        self._pool.close()


def migrations() -> list[bytes]:
    """The SQL of each version, from 1 on."""
    folder = files("khung.stores") / "migrations"
    return [item.read_bytes() for item in sorted(folder.iterdir(), key=lambda i: i.name) if item.name.endswith(".sql")]


@contextmanager
def _told() -> "Iterator[None]":
    import psycopg
    from psycopg_pool import PoolTimeout

    try:
        yield
    except (psycopg.OperationalError, PoolTimeout) as error:
        said, cure = "PostgreSQL does not answer.", "Is the server up, and the address right?"
        raise Outage(f"PostgreSQL does not answer: {error}", cure=cure, said=said) from error
    except psycopg.Error as error:
        raise StoreError(f"PostgreSQL refused: {error}", said="PostgreSQL refused.") from error
