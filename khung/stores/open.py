"""The stores that the settings ask for: an address gives the service, no address the embedded one.

The one place that chooses; whoever is handed a store does not know which it is.
"""

from khung.settings import Settings
from khung.stores import Archive, Ledger, QueryCache
from khung.stores.archive_local import LocalArchive
from khung.stores.archive_s3 import S3Archive
from khung.stores.cache_memory import MemoryCache
from khung.stores.cache_redis import RedisCache
from khung.stores.ledger_postgres import PostgresLedger
from khung.stores.ledger_sqlite import SqliteLedger
from khung.stores.postgres import Postgres


def open_archive(settings: Settings) -> Archive:
    """Raises ConfigError for a wrong address, StoreError when the server does not answer."""
    if settings.stores.archive_url:
        return S3Archive(settings.stores.archive_url, settings.home / "cache" / "archive")
    return LocalArchive(settings.archive_dir)


def open_ledger(settings: Settings) -> Ledger:
    """Raises StoreError when the server does not answer."""
    if settings.stores.postgres_url:
        return PostgresLedger(Postgres(settings.stores.postgres_url))
    return SqliteLedger(settings.ledger_path)


def open_cache(settings: Settings) -> QueryCache:
    """Never fails: a cache that does not answer is a miss."""
    return RedisCache(settings.stores.redis_url) if settings.stores.redis_url else MemoryCache()
