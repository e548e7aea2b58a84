"""One small home and one client for all API tests that only read; tests that write make their own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from fastapi.testclient import TestClient

from khung.api import logs
from khung.api.app import create_app
from khung.settings import Settings
from khung.shards.snapshot import rollback
from khung.stores.archive_local import LocalArchive
from khung.stores.ledger_sqlite import SqliteLedger
from khung.stores.library import Library
from tests.support.patience import until
from tests.support.processes import answers
from tests.support.served import free_port
from tests.support.small_home import ColourEmbedder, add, build, make_old_clip, put_in_service, settings_for


@pytest.fixture(scope="session", autouse=True)
def logging_as_served() -> None:
    """Before the first test, for pytest sees only what loggers do that are there when a test begins."""
    logs.configure()


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory, clips: Path) -> Settings:
    return build(tmp_path_factory.mktemp("home"), clips)


@pytest.fixture(scope="session")
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings, embedder=ColourEmbedder()), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def two_snapshots(tmp_path_factory: pytest.TempPathFactory, clips: Path) -> tuple[Path, str, str]:
    """`(home, older, newer)`, to be copied: the older snapshot is in service, the newer has another video before everything."""
    home = tmp_path_factory.mktemp("two-snapshots")
    settings = settings_for(home)
    library, ledger = Library(LocalArchive(settings.archive_dir)), SqliteLedger(settings.ledger_path)
    first = add(library, ledger, clips / "googlework_short.mp4")
    older = put_in_service(settings, [first])
    newer = put_in_service(settings, [first, add(library, ledger, make_old_clip(home / "old_clip.avi"))])
    rollback(settings.shelf_dir, older)
    return home, older, newer


@pytest.fixture
def serve(settings, tmp_path):
    """Start `khung serve` over the small home; what is still running at the end is killed."""
    started = []

    def start(*options, **environment):
        port = free_port()
        env = os.environ | {"KHUNG_HOME": str(settings.home.absolute())} | environment
        command = [sys.executable, "-m", "khung", "serve", "--port", str(port), *options]
        with open(tmp_path / "serve.log", "wb") as log:
            process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        started.append(process)
        until(lambda: answers(f"http://127.0.0.1:{port}") == 200 or process.poll() is not None)
        assert process.poll() is None, (tmp_path / "serve.log").read_text()
        return process, port

    yield start
    for process in started:
        for child in psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []:
            child.kill()
        process.kill()
        process.wait(30)
