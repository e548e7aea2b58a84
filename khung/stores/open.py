"""The stores that the settings ask for: an address gives the service, no address the embedded one.

The one place that chooses; whoever is handed a store does not know which it is. What is published and read from many machines
is chosen in khung.shards.shelf, of the parts that are opened here.
"""

import threading

from khung.settings import Settings
from khung.stores import Archive, Ledger, QueryCache
from khung.stores.archive_local import LocalArchive
from khung.stores.archive_s3 import S3Archive
from khung.stores.cache_redis import RedisCache
from khung.stores.ledger_postgres import PostgresLedger
from khung.stores.ledger_sqlite import SqliteLedger
from khung.stores.opensearch_index import connect
from khung.stores.postgres import Postgres
from khung.stores.text_indexes import TextIndexes

_ANSWERS_WITHIN_S = 5.0  # a server that is down costs a request no more than this
_databases: dict[tuple[str, str], Postgres] = {}
_opening = threading.Lock()


def open_archive(settings: Settings) -> Archive:
    """Raises ConfigError for a wrong address, StoreError when the server does not answer."""
    if settings.stores.archive_url:
        return S3Archive(settings.stores.archive_url, settings.home / "cache" / "archive")
    return LocalArchive(settings.archive_dir)


def open_ledger(settings: Settings) -> Ledger:
    """Raises StoreError when the server does not answer."""
    database = open_database(settings)
    return PostgresLedger(database) if database else SqliteLedger(settings.ledger_path)


def open_database(settings: Settings) -> Postgres | None:
    """One pool a process and database, however often it is asked for: sensors ask at every tick. Raises StoreError."""
    if not (url := settings.stores.postgres_url):
        return None
    name = (url, settings.stores.postgres_schema)
    with _opening:
        known = _databases.get(name)
        if known is None or known.closed:
            known = _databases[name] = Postgres(url, schema=name[1], timeout_s=_ANSWERS_WITHIN_S)
        return known


def open_shared_cache(settings: Settings) -> QueryCache | None:
    """Never fails: a cache that does not answer is a miss. None: there is no other server to share answers with."""
    return RedisCache(settings.stores.redis_url) if settings.stores.redis_url else None


def open_text_indexes(settings: Settings) -> TextIndexes | None:
    """The snapshots' indexes in OpenSearch, where the captions are asked; None: they are asked in the shards. Never fails:
    the server is first spoken to when something is asked of it."""
    stores = settings.stores
    if not stores.opensearch_url:
        return None
    asking, writing = (connect(stores.opensearch_url, timeout_s=seconds) for seconds in (2.0, 60.0))
    return TextIndexes(asking, writing, stores.opensearch_prefix, replicas=stores.opensearch_replicas)
