"""Cursors: pages of one snapshot, for one question and one key, and nothing that was not made here."""

import base64
import time

import pytest
from fastapi.testclient import TestClient

from khung.api import cursor
from khung.api.app import create_app
from khung.api.kept import Kept
from khung.api.question import Question
from khung.api.schemas import SearchIn
from khung.api.service import cost_of
from khung.api.signing import Forged, Signer, kept_secret
from khung.errors import ConfigError, CursorExpired
from khung.shards.garbage import collect
from khung.shards.snapshot import rollback
from tests.support.small_home import ColourEmbedder, copied

QUESTION = {"q": "người", "limit": 5}


def ids(answer):
    assert answer.status_code == 200, answer.text
    return [hit["frame"]["id"] for hit in answer.json()["hits"]]


def test_cursors_give_the_pages_one_after_another(client):
    whole = ids(client.get("/v1/search", params=QUESTION | {"limit": 20}))
    answer, pages = client.get("/v1/search", params=QUESTION), []
    while True:
        pages += ids(answer)
        if not (following := answer.json()["next"]):
            break
        answer = client.get("/v1/search", params=QUESTION | {"cursor": following})
    assert pages[:20] == whole and len(pages) == len(set(pages))


def test_a_cursor_goes_with_get_and_post_and_another_limit(client):
    first = client.get("/v1/search", params=QUESTION)
    by_post = client.post("/v1/search", json=QUESTION | {"cursor": first.json()["next"], "limit": 2})
    assert ids(by_post) == ids(client.get("/v1/search", params=QUESTION | {"cursor": first.json()["next"]}))[:2]


def changed(token):
    """Every way of touching it: one letter of the body or of the seal, the end cut off, another spelling of the same bytes."""
    body, tag = token.split(".")
    other = base64.urlsafe_b64encode(base64.urlsafe_b64decode(body + "==").replace(b",5,", b",9,")).decode().rstrip("=")
    flipped = "A" if tag[0] != "A" else "B"
    return [f"{other}.{tag}", f"{body}.{flipped}{tag[1:]}", f"{body}.{tag[:-1]}", body, f"{body}.", f".{tag}", "x", f"{token}=="]  # fmt: skip


def test_forged_cursors_are_refused(client):
    token = client.get("/v1/search", params=QUESTION).json()["next"]
    for forged in changed(token):
        answer = client.get("/v1/search", params=QUESTION | {"cursor": forged})
        assert answer.status_code in (400, 422), forged
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("other", [{"q": "phố"}, {"object": "person"}, {"offset": 5}, {"per_video": 1}])
def test_a_cursor_belongs_to_its_question(client, other):
    token = client.get("/v1/search", params=QUESTION).json()["next"]
    answer = client.get("/v1/search", params=QUESTION | other | {"cursor": token})
    assert (answer.status_code, answer.json()["title"]) == (400, "Cursor refused")


def test_an_old_cursor_has_expired(client, monkeypatch):
    service = client.app.state.service
    asked = Question.of(SearchIn(**QUESTION))
    now = time.time()
    monkeypatch.setattr(cursor.time, "time", lambda: now - cursor.LIFE_S - 1)
    token = cursor.write(service.signer, asked, cursor.Cursor(service.serving.snapshot_id, 5), "")
    monkeypatch.undo()
    answer = client.get("/v1/search", params=QUESTION | {"cursor": token})
    assert (answer.status_code, answer.json()["title"]) == (410, "Cursor expired")


def test_tokens_of_one_purpose_are_nothing_for_another():
    signer = Signer(b"x" * 32)
    token = signer.seal("login", ["a"])
    assert signer.open("login", token) == ["a"]
    for other, purpose in ((signer, "cursor"), (Signer(b"y" * 32), "login")):
        with pytest.raises(Forged):
            other.open(purpose, token)


def test_the_secret_is_made_once_and_is_ours_alone(tmp_path):
    first = kept_secret(tmp_path / "home" / "secret.key")
    assert kept_secret(tmp_path / "home" / "secret.key") == first and len(first) == 64
    assert (tmp_path / "home" / "secret.key").stat().st_mode & 0o777 == 0o600
    (tmp_path / "home" / "secret.key").write_bytes(b"")
    with pytest.raises(ConfigError, match="no secret"):
        kept_secret(tmp_path / "home" / "secret.key")


@pytest.fixture
def home(tmp_path, two_snapshots):
    filled, older, newer = two_snapshots
    return copied(filled, tmp_path), older, newer


def forget(client):
    """Kept answers, so that the snapshot itself is asked again."""
    client.app.state.service.desk._answers = Kept(2**20, cost_of)


def swap(client, settings, to):
    rollback(settings.shelf_dir, to)
    client.app.state.service.serving.refresh()
    assert client.get("/ready").json()["snapshot"] == to


def test_a_cursor_stays_with_its_snapshot(home):
    settings, older, newer = home
    with TestClient(create_app(settings, embedder=ColourEmbedder())) as client:
        first = client.get("/v1/search", params=QUESTION).json()
        before = client.get("/v1/search", params=QUESTION | {"cursor": first["next"]})
        swap(client, settings, newer)
        assert client.get("/v1/search", params=QUESTION).json()["snapshot"] == newer
        forget(client)
        after = client.get("/v1/search", params=QUESTION | {"cursor": first["next"]})
        assert after.json()["snapshot"] == before.json()["snapshot"] == older
        assert ids(after) == ids(before)


def test_an_older_snapshot_is_opened_again_as_long_as_it_is_kept(home):
    settings, older, newer = home
    with TestClient(create_app(settings, embedder=ColourEmbedder()), raise_server_exceptions=False) as client:
        serving = client.app.state.service.serving
        token = client.get("/v1/search", params=QUESTION).json()["next"]
        swap(client, settings, newer)
        serving._set_older(None)
        forget(client)
        assert client.get("/v1/search", params=QUESTION | {"cursor": token}).json()["snapshot"] == older
        serving._set_older(None)
        forget(client)
        collect(settings.shelf_dir, keep=1, min_age_s=0)
        gone = client.get("/v1/search", params=QUESTION | {"cursor": token})
        assert (gone.status_code, gone.json()["title"]) == (410, "Cursor expired")


def test_what_lingers_is_let_go_when_nobody_asks(home):
    settings, older, newer = home
    with TestClient(create_app(settings, embedder=ColourEmbedder())) as client:
        serving = client.app.state.service.serving
        swap(client, settings, newer)
        assert serving._older.snapshot.id == older
        serving.sweep()
        assert serving._older is not None
        serving._older.used_at -= settings.serve.linger_s + 1
        serving.sweep()
        assert serving._older is None


def test_a_snapshot_that_never_was(home):
    settings, _, _ = home
    with TestClient(create_app(settings, embedder=ColourEmbedder())) as client:
        serving = client.app.state.service.serving
        with pytest.raises(CursorExpired), serving.borrow("0" * 16):
            pass
