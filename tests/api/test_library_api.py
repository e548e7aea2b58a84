"""Frames, videos, the ledger's states, uploads: what is there and what is on its way."""

import os

import pytest
from fastapi.testclient import TestClient

from khung.api.app import create_app
from khung.stores.ledger_sqlite import SqliteLedger
from tests.support.small_home import ATTACK_NAME, ColourEmbedder, settings_for


def test_a_frame(client):
    frame = client.get("/v1/frames/cockatoo_cc0/0").json()
    assert (frame["id"], frame["pts_ms"], frame["timecode"]) == ("cockatoo_cc0/0", 0, "0:00.000")
    assert frame["captions"]["vi"] == "Con vẹt trắng trên sàn nhà."
    assert frame["caption_origin"] == "composed"


def test_neighbours_are_in_order_and_cross_shots(client):
    video = client.get("/v1/videos/googlework_short").json()
    middle = video["frames"][13]
    around = client.get(f"/v1/frames/{middle['id']}/neighbours", params={"span": 3}).json()
    times = [frame["pts_ms"] for frame in [*around["before"], around["frame"], *around["after"]]]
    assert len(times) == 7 and times == sorted(times)
    assert around["frame"]["id"] == middle["id"]
    assert len({frame["shot"]["index"] for frame in [*around["before"], *around["after"]]}) > 1


def test_neighbours_at_the_edge(client):
    around = client.get("/v1/frames/cockatoo_cc0/0/neighbours").json()
    assert around["before"] == [] and len(around["after"]) == 5


def test_videos(client):
    listed = client.get("/v1/videos").json()
    assert [video["id"] for video in listed["videos"]] == ["cockatoo_cc0", "googlework_short", "nasa_13013", "old_clip"]
    by_id = {video["id"]: video for video in listed["videos"]}
    assert by_id["nasa_13013"]["source_name"] == ATTACK_NAME
    assert by_id["googlework_short"]["playable"] and not by_id["old_clip"]["playable"]
    assert client.get(by_id["old_clip"]["poster"]).status_code == 200
    page = client.get("/v1/videos", params={"limit": 1, "offset": 1}).json()
    assert [video["id"] for video in page["videos"]] == ["googlework_short"] and page["total"] == 4


@pytest.mark.parametrize(
    "url", ["/v1/videos/nobody", "/v1/frames/nobody/0", "/v1/frames/cockatoo_cc0/1", "/v1/frames/nobody/0/neighbours"]
)
def test_what_is_not_there(client, url):
    answer = client.get(url)
    assert (answer.status_code, answer.json()["title"]) == (404, "Not found")


def test_the_library_tells_states_and_reasons(client):
    by_id = {video["video_id"]: video for video in client.get("/v1/library").json()["videos"]}
    assert by_id["googlework_short"]["state"] == "searchable"
    assert by_id["busy"]["state"] == "running"
    assert by_id["broken"]["state"] == "failed"
    assert by_id["broken"]["stages"][0]["reason"] == "not_a_video"


def test_the_library_has_pages_and_is_narrowed_by_state_and_name(client):
    def told(**asked) -> tuple[list[str], int]:
        answer = client.get("/v1/library", params=asked).json()
        assert answer["counts"] == {"failed": 1, "running": 1, "searchable": 4}
        return [video["video_id"] for video in answer["videos"]], answer["total"]

    every = ["broken", "busy", "cockatoo_cc0", "googlework_short", "nasa_13013", "old_clip"]
    assert told() == (every, 6)
    assert told(limit=2, offset=1) == (every[1:3], 6)
    assert told(offset=6) == ([], 6)
    assert told(state="failed") == (["broken"], 1)
    assert told(name="GOOGLEWORK short") == (["googlework_short"], 1)
    assert told(name="pho co") == (["nasa_13013"], 1)  # by the file's name, without marks
    assert client.get("/v1/library", params={"state": "lost"}).status_code == 422


def test_status_counts(client):
    status = client.get("/v1/status").json()
    assert (status["videos"], status["embedder"], status["rejected"]) == (4, "colours-1", "")
    assert status["stages"]["videos"] == {"done": 5, "failed": 1}


def test_health_ready_metrics(settings):
    """Metrics are the process', and tell of the snapshot that went into service last."""
    with TestClient(create_app(settings, embedder=ColourEmbedder())) as client:
        assert client.get("/health").json() == {"status": "ok"}
        ready = client.get("/ready").json()
        client.get("/v1/search", params={"q": "rất bí mật"})
        told = client.get("/metrics").text
    assert f'khung_snapshot_info{{snapshot="{ready["snapshot"]}"}} 1.0' in told
    assert 'route="/v1/search"' in told
    assert "mật" not in told and "googlework" not in told


@pytest.fixture
def empty(tmp_path):
    settings = settings_for(tmp_path, max_upload_bytes=1000)
    with TestClient(create_app(settings, embedder=ColourEmbedder()), raise_server_exceptions=False) as client:
        yield client


def test_before_the_first_snapshot(empty):
    assert empty.get("/health").status_code == 200
    assert empty.get("/ready").status_code == 503
    answer = empty.get("/v1/search", params={"q": "phố"})
    assert (answer.status_code, answer.json()["cure"]) == (503, "Ingest videos: khung ingest FILE…")
    assert empty.get("/v1/status").json()["snapshot"] is None
    assert empty.get("/v1/library").json() == {"videos": [], "total": 0, "counts": {}, "inbox": []}
    for page in ("/", "/library", "/docs"):
        assert empty.get(page).status_code == 200


def test_an_upload_lands_in_the_inbox(empty, tmp_path):
    answer = empty.post("/v1/uploads", params={"name": "Phố.mp4"}, content=b"bytes")
    assert (answer.status_code, answer.json()) == (201, {"name": "Phố.mp4"})
    assert (tmp_path / "inbox" / "Phố.mp4").read_bytes() == b"bytes"
    assert empty.get("/v1/library").json()["inbox"] == ["Phố.mp4"]


def test_what_was_taken_waits_no_longer_although_it_stays_in_the_inbox(empty, tmp_path):
    inbox, ledger = tmp_path / "inbox", SqliteLedger(tmp_path / "ledger.sqlite")
    inbox.mkdir()
    for name in ("Phố cổ.mp4", "Pho co.mp4", "late.mp4", "read me.txt", os.fsdecode(b"not-utf8-\xff.mp4")):
        (inbox / name).write_bytes(b"x")
    ledger.claim("a" * 64, "Phố cổ.mp4", "Pho_co")
    assert empty.get("/v1/library").json()["inbox"] == ["late.mp4", "not-utf8-.mp4"]
    assert "late.mp4" in empty.get("/library").text and "Phố cổ" not in empty.get("/library").text
    for number in range(20):
        (inbox / f"later {number:02}.mp4").write_bytes(b"x")
    page = empty.get("/library?ui=en").text
    assert "later 08.mp4" in page and "later 09.mp4" not in page and "and 12 more" in page


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [("a.exe", b"x", 422), ("a.mp4", b"", 422), ("../../a", b"x", 422), ("a.mp4", b"x" * 1001, 422), ("", b"x", 422)],
)
def test_refused_uploads(empty, tmp_path, name, body, status):
    assert empty.post("/v1/uploads", params={"name": name}, content=body).status_code == status
    inbox = tmp_path / "inbox"
    assert not inbox.exists() or list(inbox.iterdir()) == []


def test_a_body_beyond_every_limit_is_cut_off(empty):
    answer = empty.post("/v1/search", content=b"x" * (2**21), headers={"content-type": "application/json"})
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


def test_uploading_without_scripts(empty, tmp_path):
    files = [("files", ("a.mp4", b"1")), ("files", ("b.mkv", b"2"))]
    answer = empty.post("/library", files=files, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/library")
    assert sorted(path.name for path in (tmp_path / "inbox").iterdir()) == ["a.mp4", "b.mkv"]


def test_the_description_can_be_kept_private(tmp_path):
    with TestClient(create_app(settings_for(tmp_path, api_docs=False), embedder=ColourEmbedder())) as client:
        assert client.get("/docs").status_code == 404
        assert client.get("/v1/openapi.json").status_code == 404


def test_searching_by_image_without_scripts(empty):
    answer = empty.post("/by-image", files={"picture": ("x.png", b"no picture")}, follow_redirects=False)
    assert answer.status_code == 422
    assert empty.post("/by-image", content=b"x" * (2**25 + 1)).status_code == 413
