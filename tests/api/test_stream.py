"""The stream: understood, partly answered, answered as by the plain question; what fails at once is a plain problem."""

import json
import threading

import pytest
from fastapi.testclient import TestClient

from khung.api.app import create_app
from tests.support.small_home import ColourEmbedder


def events(answer):
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = []
    for block in answer.text.replace("\r\n", "\n").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if fields:
            told.append((fields["event"], json.loads(fields["data"])))
    return told


class Patient(ColourEmbedder):
    """Encodes a question only when it is let."""

    def __init__(self):
        self.gate = threading.Event()

    def embed_texts(self, texts):
        assert self.gate.wait(60)
        return super().embed_texts(texts)


@pytest.fixture
def patient(settings):
    embedder = Patient()
    embedder.gate.set()  # while the engine is opened
    with TestClient(create_app(settings, embedder=embedder), raise_server_exceptions=False) as client:
        yield client, embedder


def test_partial_pages_come_before_the_slow_channel(patient, monkeypatch):
    client, embedder = patient
    from khung.api.stream import Stream

    heard = Stream.partial

    def partial(self, channels, result):
        heard(self, channels, result)
        if result.hits:  # the screen's text may be through first, and has none
            embedder.gate.set()

    monkeypatch.setattr(Stream, "partial", partial)
    embedder.gate.clear()
    told = events(client.get("/v1/search/stream", params={"q": "người trắng trong văn phòng"}))
    names = [name for name, _ in told]
    assert names[0] == "parsed" and names[-1] == "final" and "partial" in names
    assert told[0][1]["language"] == "vi"
    first = next(data for name, data in told if name == "partial" and data["hits"])
    assert "vector" not in first["channels"]
    assert all("vector" not in hit["channels"] for hit in first["hits"])
    assert set(first) - {"channels"} == set(told[-1][1])


@pytest.mark.parametrize("params", [{"q": "văn phòng"}, {"q": "trên phố rồi văn phòng"}, {"object": "laptop"}])
def test_the_final_event_is_the_plain_answer(client, params):
    told = events(client.get("/v1/search/stream", params=params | {"limit": 7}))
    assert [name for name, _ in told if name != "partial"] == ["parsed", "final"]
    final, plain = told[-1][1], client.get("/v1/search", params=params | {"limit": 7}).json()
    assert {k: v for k, v in final.items() if k != "next"} == {k: v for k, v in plain.items() if k != "next"}
    assert bool(final["next"]) == bool(plain["next"])


def test_a_kept_answer_is_final_at_once(client):
    client.get("/v1/search", params={"q": "con vẹt", "limit": 3})
    told = events(client.get("/v1/search/stream", params={"q": "con vẹt", "limit": 3}))
    assert [name for name, _ in told] == ["parsed", "final"]


@pytest.mark.parametrize(
    ("params", "status"),
    [({}, 422), ({"q": "x", "limit": 0}, 422), ({"q": "..."}, 422), ({"q": "x", "cursor": "a.b"}, 400), ({"image": "0" * 32}, 404)],
)  # fmt: skip
def test_what_fails_at_once_is_a_plain_problem(client, params, status):
    answer = client.get("/v1/search/stream", params=params)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_what_fails_later_is_the_last_event(client):
    told = events(client.get("/v1/search/stream", params={"like": "nothing/1"}))
    assert [name for name, _ in told] == ["parsed", "problem"]
    assert told[-1][1]["status"] == 404
