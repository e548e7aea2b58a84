"""Answers that many servers share, in a real Valkey: worked out by one, given by all; a cache that is gone is a miss."""

import pytest
from fastapi.testclient import TestClient

from khung.api.app import create_app
from tests.support import servers
from tests.support.small_home import ColourEmbedder

pytestmark = pytest.mark.services


def client_of(settings, url):
    stores = settings.stores.model_copy(update={"redis_url": url})
    return TestClient(create_app(settings.model_copy(update={"stores": stores}), embedder=ColourEmbedder()))


def test_one_server_works_it_out_and_the_other_has_it(settings):
    asked = {"q": "con vẹt trắng", "limit": 3}
    url = servers.shared("redis")
    with client_of(settings, url) as one, client_of(settings, url) as other:
        told = one.get("/v1/search", params=asked).json()
        with other.app.state.service.serving.borrow() as here:
            here.engine.search = None  # it must not be asked
        given = other.get("/v1/search", params=asked)
        assert given.status_code == 200
        assert given.json() | {"next": ""} == told | {"next": ""}


def test_a_cache_that_is_not_there_is_a_miss(settings):
    with client_of(settings, "redis://127.0.0.1:1/0") as client:
        assert client.get("/v1/search", params={"q": "con vẹt", "limit": 3}).status_code == 200
