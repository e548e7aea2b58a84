"""One small home and one client for all API tests that only read; tests that write make their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from khung.api.app import create_app
from khung.settings import Settings
from tests.support.small_home import ColourEmbedder, build


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory, clips: Path) -> Settings:
    return build(tmp_path_factory.mktemp("home"), clips)


@pytest.fixture(scope="session")
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings, embedder=ColourEmbedder()), raise_server_exceptions=False) as client:
        yield client
