"""The short forms beside `/v1/search`: similar, feedback, suggest, facets; where an upload stands; the snapshots."""

import pytest
from fastapi.testclient import TestClient

from khung.api.app import create_app
from khung.stores import LedgerEntry
from tests.support.small_home import ColourEmbedder, settings_for


def ids(answer):
    assert answer.status_code == 200, answer.text
    return [hit["frame"]["id"] for hit in answer.json()["hits"]]


def test_similar_is_like(client):
    by_path = ids(client.get("/v1/frames/cockatoo_cc0/0/similar", params={"limit": 3}))
    assert by_path == ids(client.get("/v1/search", params={"like": "cockatoo_cc0/0", "limit": 3})) and by_path
    assert client.get("/v1/frames/nobody/0/similar").status_code == 404


def test_feedback_moves_towards_what_was_right(client):
    judged = {"q": "người", "more": ["cockatoo_cc0/0"], "less": ["nasa_13013/0"], "limit": 5}
    assert ids(client.post("/v1/feedback", json=judged)) == ids(client.post("/v1/search", json=judged))
    assert client.post("/v1/feedback", json={"q": "người"}).status_code == 422


def test_suggestions(client):
    service = client.app.state.service
    with service.serving.borrow() as here:
        here.engine.warm()
    told = client.get("/v1/suggest", params={"q": "nguoi trong van phong"}).json()
    assert told["did_you_mean"] == "người trong văn phòng"
    assert client.get("/v1/suggest", params={"q": "áo xanh"}).json()["alternatives"]
    assert client.get("/v1/suggest", params={"q": "rồi " * 100}).json() == {"did_you_mean": "", "alternatives": []}
    assert client.get("/v1/suggest").status_code == 422


def test_facets_of_everything_and_of_a_part(client):
    whole = client.get("/v1/facets").json()
    part = client.get("/v1/facets", params={"video": "cockatoo_cc0"}).json()
    assert whole["facets"]["objects"]["person"] > 0 and whole["frames"] > part["frames"] > 0
    assert part["facets"]["objects"] == {"bird": part["frames"]}
    none = client.get("/v1/facets", params={"video": "nobody"}).json()
    assert none["frames"] == 0 and none["facets"]["objects"] == {}


def test_snapshots(client):
    told = client.get("/v1/snapshots").json()
    assert told["serving"] == told["current"] == told["moves"][0]["snapshot"]
    assert told["moves"][0]["reason"] == "publish"


@pytest.fixture
def empty(tmp_path):
    with TestClient(create_app(settings_for(tmp_path), embedder=ColourEmbedder())) as client:
        yield client


def test_the_way_of_an_upload(empty):
    assert empty.get("/v1/uploads/Phố.mp4").status_code == 404
    name = empty.post("/v1/uploads", params={"name": "Phố.mp4"}, content=b"bytes").json()["name"]
    assert empty.get(f"/v1/uploads/{name}").json()["state"] == "received"
    ledger = empty.app.state.service.ledger
    video_id, _ = ledger.claim("0" * 64, name, "Pho")
    ledger.put([LedgerEntry(video_id, "videos", "failed", "not_a_video", "No video is in it.")])
    told = empty.get(f"/v1/uploads/{name}").json()
    assert (told["state"], told["video_id"], told["stages"][0]["reason"]) == ("failed", "Pho", "not_a_video")
