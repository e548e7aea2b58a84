"""The routes are ready before the first request comes."""

import pytest
from fastapi import routing
from fastapi.testclient import TestClient

from khung.api.app import create_app
from tests.support.small_home import ColourEmbedder


def test_no_route_is_made_while_a_request_waits(settings, monkeypatch):
    app = create_app(settings, embedder=ColourEmbedder())

    def too_late(**_):
        pytest.fail("FastAPI reads a route's parameters in a request.")

    monkeypatch.setattr(routing, "get_dependant", too_late)
    with TestClient(app) as client:
        assert client.get("/health").status_code == 200
        assert client.get("/v1/search", params={"q": "red"}).status_code == 200
        assert client.get("/").status_code == 200
        assert client.get("/nowhere").status_code == 404
