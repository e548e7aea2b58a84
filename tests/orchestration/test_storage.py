"""Dagster's runs and events where the one setting says: SQLite without it, PostgreSQL with it; dagster.yaml as it is."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from dagster._core.instance.ref import InstanceRef
from own_services import own_database

from khung.errors import ConfigError
from khung.settings import settings
from orchestration.storage import in_postgres

ROOT = Path(__file__).parent.parent.parent
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dg.op
def many(context: dg.OpExecutionContext) -> None:
    for number in range(100):
        context.log_event(dg.AssetMaterialization("thing", partition=f"p{number:03}"))


@dg.job
def materialise() -> None:
    many()


@pytest.fixture
def fresh_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.chdir(tmp_path)  # dagster.yaml names its folders from where Dagster is started
    settings.cache_clear()
    yield monkeypatch
    settings.cache_clear()


def instance_of(tmp_path: Path) -> dg.DagsterInstance:
    """As DAGSTER_HOME with the repository's dagster.yaml gives it, by way of the reference that runs are handed."""
    ref = InstanceRef.from_dir(str(tmp_path), config_dir=str(ROOT))
    return dg.DagsterInstance.from_ref(InstanceRef.from_dict(ref.to_dict()))


def partitions(instance: dg.DagsterInstance) -> int:
    return len(instance.get_materialized_partitions(dg.AssetKey("thing")))


def test_without_the_setting_runs_are_kept_in_sqlite(fresh_settings, tmp_path: Path) -> None:
    with instance_of(tmp_path) as instance:
        assert (
            materialise.execute_in_process(instance=instance, run_config=QUIET).success and partitions(instance) == 100
        )
    assert (tmp_path / ".dagster" / "storage" / "history" / "runs.db").exists()


@pytest.mark.services
def test_with_it_in_postgresql_over_few_connections(fresh_settings, tmp_path: Path) -> None:
    url = own_database()
    fresh_settings.setenv("KHUNG_STORES_DAGSTER_URL", url)
    with instance_of(tmp_path) as instance:
        assert (
            materialise.execute_in_process(instance=instance, run_config=QUIET).success and partitions(instance) == 100
        )
    with instance_of(tmp_path) as again:
        assert again.get_runs_count() == 1 and partitions(again) == 100
        assert again.get_dynamic_partitions("videos") == []
    assert not (tmp_path / ".dagster" / "storage").exists()
    with psycopg.connect(url) as db:
        (sessions,) = db.execute(
            "SELECT sessions FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone() or (0,)
    assert sessions < 100, "it opened a connection for every event"


@pytest.mark.parametrize("url", ["mysql://host/db", "host/db", ""])
def test_an_address_that_is_none_is_told(url: str) -> None:
    with pytest.raises(ConfigError, match="postgresql://USER:PASSWORD@HOST/DATABASE"):
        in_postgres(url)
