"""Where Dagster keeps its runs and events: SQLite below .dagster/, or PostgreSQL when `KHUNG_STORES_DAGSTER_URL` names one.

dagster.yaml names this class, so one setting decides for the UI, the daemon, their runs and `khung ingest` alike.
"""

from typing import Any

from dagster import StringSource
from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClass, ConfigurableClassData

from khung.errors import ConfigError
from khung.settings import settings

STATEMENT_MS, RECYCLE_S, OVERFLOW = 600_000, 3600, 20


class KhungStorage(DagsterStorage, ConfigurableClass):
    """Makes the storage that the settings ask for; there are no objects of this class itself."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {"base_dir": StringSource}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: dict[str, str]) -> DagsterStorage:
        url = settings().stores.dagster_url
        if not url:
            return DagsterSqliteStorage.from_local(config_value["base_dir"], inst_data)
        return in_postgres(url, inst_data)


def in_postgres(url: str, inst_data: ConfigurableClassData | None = None) -> DagsterStorage:
    """Raises ConfigError for an address that is none, or without dagster-postgres."""
    try:
        from dagster_postgres import DagsterPostgresStorage
    except ImportError as error:
        raise ConfigError(
            "Dagster cannot speak to PostgreSQL: dagster-postgres is not installed.",
            cure="In the checkout: make services; or empty KHUNG_STORES_DAGSTER_URL.",
        ) from error
    storage = DagsterPostgresStorage(_with_driver(url), inst_data=inst_data)
    for part in (storage.run_storage, storage.event_log_storage, storage.schedule_storage):
        # by itself it opens a connection for every event: a run over many videos then takes five times as long
        part.optimize_for_webserver(STATEMENT_MS, RECYCLE_S, OVERFLOW)
    return storage


def _with_driver(url: str) -> str:
    """Dagster's storage is made for psycopg2; without its name SQLAlchemy takes psycopg 3, and events break."""
    scheme, found, rest = url.partition("://")
    if not found or scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise ConfigError(
            "KHUNG_STORES_DAGSTER_URL is no address of PostgreSQL.",
            cure="Write postgresql://USER:PASSWORD@HOST/DATABASE.",
        )
    return f"postgresql+psycopg2://{rest}"
