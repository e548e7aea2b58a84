"""Channels and encoders that fail: named in the answer, never silent; everything down is an outage, never an empty answer."""

import numpy as np
import pytest
from fastapi.testclient import TestClient

from khung.api.app import create_app
from khung.errors import ModelError
from tests.support.small_home import ColourEmbedder


class Faulty(ColourEmbedder):
    """The small encoder with one way of failing, as `kind` says."""

    def __init__(self, kind):
        self.kind = kind
        if kind == "other space":
            self.fingerprint = "other-1"

    def embed_texts(self, texts):
        vectors = super().embed_texts(texts)
        match self.kind:
            case "raises":
                raise ModelError("The encoder fell over.")
            case "nan":
                return np.full_like(vectors, np.nan)
            case "wrong size":
                return vectors[:, :10]
        return vectors


@pytest.fixture(params=["raises", "nan", "wrong size", "other space"])
def faulty(request, settings):
    with TestClient(create_app(settings, embedder=Faulty(request.param)), raise_server_exceptions=False) as client:
        yield client


def test_a_failing_encoder_is_named_and_the_rest_answers(faulty):
    answer = faulty.get("/v1/search", params={"q": "văn phòng"})
    assert answer.status_code == 200
    told = answer.json()
    assert [one["channel"] for one in told["degraded"]] == ["vector"]
    assert "văn phòng" in told["hits"][0]["frame"]["captions"]["vi"]


def test_the_page_says_what_is_missing(faulty):
    page = faulty.get("/", params={"q": "văn phòng", "ui": "vi"}).text
    assert "Kết quả chưa đầy đủ: thiếu hình ảnh." in page


def test_a_degraded_answer_is_not_kept(faulty):
    service = faulty.app.state.service
    faulty.get("/v1/search", params={"q": "văn phòng"})
    assert len(service.desk._answers) == 0


def test_when_every_channel_is_down_it_is_an_outage(settings, monkeypatch):
    with TestClient(create_app(settings, embedder=Faulty("raises")), raise_server_exceptions=False) as client:
        with client.app.state.service.serving.borrow() as here:

            def broken(*_, **__):
                raise OSError("the disk is gone")

            for store in (here.snapshot.text, here.snapshot.vectors):
                for method in {"search", "best"} & set(dir(store)):
                    monkeypatch.setattr(store, method, broken)
        answer = client.get("/v1/search", params={"q": "văn phòng"})
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert answer.json()["title"] == "Search unavailable" and int(answer.headers["retry-after"]) >= 1
        page = client.get("/", params={"q": "văn phòng"}, headers={"accept": "text/html"})
        assert page.status_code == 503 and int(page.headers["retry-after"]) >= 1
