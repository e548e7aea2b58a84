"""Snapshots change under running requests: nobody is cut off, nothing stale is answered, nothing broken goes into service."""

import threading

import pytest
from fastapi.testclient import TestClient

from khung.api.app import create_app
from khung.api.serving import Serving
from khung.errors import CorruptError, SearchUnavailable
from khung.search.encoders import QueryEncoders
from khung.search.engine import Engine
from khung.shards.shelf import Shelf
from khung.shards.snapshot import current, rollback
from khung.stores.archive_local import LocalArchive
from khung.stores.ledger_sqlite import SqliteLedger
from khung.stores.library import Library
from tests.support.patience import until
from tests.support.small_home import ColourEmbedder, add, copied, make_old_clip, put_in_service, settings_for


@pytest.fixture(scope="module")
def filled(tmp_path_factory, clips):
    """`(home, older, newer)`: the older snapshot has one video, the newer two."""
    home = tmp_path_factory.mktemp("swap")
    settings = settings_for(home)
    library, ledger = Library(LocalArchive(settings.archive_dir)), SqliteLedger(settings.ledger_path)
    first = add(library, ledger, make_old_clip(home / "old_clip.avi"))
    older = put_in_service(settings, [first])
    newer = put_in_service(settings, [first, add(library, ledger, clips / "nasa_13013.mp4")])
    rollback(settings.shelf_dir, older)
    return home, older, newer


@pytest.fixture
def home(tmp_path, filled):
    return copied(filled[0], tmp_path), *filled[1:]


def test_a_published_snapshot_is_picked_up_under_load(home):
    settings, older, newer = home
    with TestClient(create_app(settings, embedder=ColourEmbedder())) as client:
        assert client.get("/ready").json()["snapshot"] == older
        seen, failures, stop = set(), [], threading.Event()

        def ask():
            while not stop.is_set():
                answer = client.get("/v1/search", params={"q": "người", "limit": 3})
                if answer.status_code != 200:
                    failures.append(answer.text)
                    continue
                told = answer.json()
                seen.add(told["snapshot"])
                if bool(told["hits"]) != (told["snapshot"] == newer):
                    failures.append("an answer of one snapshot under the name of another")

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for to in (newer, older, newer):
            rollback(settings.shelf_dir, to)
            until(lambda to=to: client.get("/ready").json()["snapshot"] == to)
            seen.clear()
            until(lambda to=to: to in seen)
        stop.set()
        for thread in threads:
            thread.join()
        assert failures == []


def test_a_reader_keeps_what_it_opened(home):
    settings, older, newer = home
    serving = Serving(Shelf(settings.shelf_dir), QueryEncoders(settings, [ColourEmbedder()]))
    with pytest.raises(SearchUnavailable), serving.borrow():
        pass
    assert serving.refresh()
    with serving.borrow() as mine:
        rollback(settings.shelf_dir, newer)
        assert serving.refresh()
        assert serving.snapshot_id == newer and mine.snapshot.id == older
        assert len(mine.snapshot.records.videos()) == 1
    with serving.borrow() as here:
        assert len(here.snapshot.records.videos()) == 2
    serving.close()


def test_a_retired_snapshot_is_closed_once_and_only_when_nobody_reads(home, monkeypatch):
    settings, older, newer = home
    serving = Serving(Shelf(settings.shelf_dir), QueryEncoders(settings, [ColourEmbedder()]))
    serving.refresh()
    closed = []
    with serving.borrow() as mine, serving.borrow():
        close = mine.snapshot.close
        monkeypatch.setattr(mine.snapshot, "close", lambda: (closed.append(older), close()))
        rollback(settings.shelf_dir, newer)
        serving.refresh()
        assert closed == []
    until(lambda: closed == [older])  # what warms it may still read it
    serving.close()
    assert closed == [older]


def test_the_end_waits_for_the_step_of_warming_under_way_and_begins_no_other(home, monkeypatch):
    """Python ends a thread in the middle of native code, and some of it takes the process with it."""
    settings, _, _ = home
    begun, steps = threading.Event(), []

    def first(self):
        begun.set()
        until(lambda: serving._closed)
        steps.append("first")

    monkeypatch.setattr(Engine, "_compile", first)
    monkeypatch.setattr(Engine, "_read_captions", lambda self: steps.append("second"))
    serving = Serving(Shelf(settings.shelf_dir), QueryEncoders(settings, [ColourEmbedder()]))
    serving.refresh()
    assert begun.wait(10)
    serving.close()
    assert steps == ["first"]
    assert not any(thread.is_alive() for thread in serving._warming)


def test_a_damaged_snapshot_is_refused_and_the_old_one_serves(home):
    settings, older, newer = home
    with TestClient(create_app(settings, embedder=ColourEmbedder())) as client:
        for shard in settings.shelf_dir.glob("shards/*/vectors/*"):
            data = bytearray(shard.read_bytes())
            if data:
                data[len(data) // 2] ^= 1
                shard.write_bytes(bytes(data))
        pointer = (settings.shelf_dir / "pointer.json").read_bytes()
        assert current(settings.shelf_dir) == older
        with pytest.raises(CorruptError, match=r"damaged|checksum|disagree"):
            rollback(settings.shelf_dir, newer)
        assert (settings.shelf_dir / "pointer.json").read_bytes() == pointer
        from khung.shards.pointer import move

        move(settings.shelf_dir, newer, "publish")  # a publisher without manners
        until(lambda: client.get("/v1/status").json()["rejected"])
        assert client.get("/ready").json()["snapshot"] == older
        assert client.get("/v1/search", params={"q": "xám"}).status_code == 200


def test_a_snapshot_for_which_memory_lacks_is_tried_again(home, monkeypatch, caplog):
    settings, older, newer = home
    with TestClient(create_app(settings, embedder=ColourEmbedder())) as client:
        serving, lacks = client.app.state.service.serving, [True]
        open_it = serving._open

        def opened(snapshot_id):
            if lacks:
                raise MemoryError
            return open_it(snapshot_id)

        monkeypatch.setattr(serving, "_open", opened)
        rollback(settings.shelf_dir, newer)
        until(lambda: client.get("/v1/status").json()["rejected"] == "MemoryError")
        assert client.get("/ready").json()["snapshot"] == older
        assert "in opened" in caplog.text, "the log says where"
        lacks.clear()
        monkeypatch.setattr("khung.api.serving.RETRY_S", 0.0)
        until(lambda: client.get("/ready").json()["snapshot"] == newer)


def test_what_cannot_be_warmed_answers_all_the_same(home, monkeypatch, caplog):
    settings, _, newer = home

    def warm(self, ended):
        raise MemoryError("no room to gather")

    monkeypatch.setattr(Engine, "warm", warm)
    with TestClient(create_app(settings, embedder=ColourEmbedder())) as client:
        until(lambda: "warming_failed" in caplog.text)
        assert "no room to gather" in caplog.text and "in warm" in caplog.text, "the log says where"
        assert client.get("/v1/search", params={"q": "xám"}).status_code == 200
        rollback(settings.shelf_dir, newer)
        until(lambda: client.get("/ready").json()["snapshot"] == newer)


def test_without_room_for_another_thread_a_snapshot_goes_into_service(home, monkeypatch, caplog):
    settings, older, _ = home
    serving = Serving(Shelf(settings.shelf_dir), QueryEncoders(settings, [ColourEmbedder()]))

    def start(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as crowded:
        crowded.setattr(threading.Thread, "start", start)
        assert serving.refresh()
    assert (serving.snapshot_id, serving.rejected) == (older, "")
    assert "warming_failed" in caplog.text
    serving.close()


def test_the_pointer_is_followed_after_whatever_error(home, monkeypatch, caplog):
    settings, older, newer = home
    with TestClient(create_app(settings, embedder=ColourEmbedder())) as client:
        service = client.app.state.service

        async def fails():
            raise TypeError("unforeseen")

        monkeypatch.setattr(service, "rewarm", fails)
        rollback(settings.shelf_dir, newer)
        until(lambda: "watch_failed" in caplog.text)
        rollback(settings.shelf_dir, older)
        until(lambda: client.get("/ready").json()["snapshot"] == older)


def test_answers_are_kept_by_snapshot(home):
    settings, _, newer = home
    with TestClient(create_app(settings, embedder=ColourEmbedder())) as client:
        assert client.get("/v1/search", params={"q": "người"}).json()["hits"] == []
        rollback(settings.shelf_dir, newer)
        until(lambda: client.get("/ready").json()["snapshot"] == newer)
        assert client.get("/v1/search", params={"q": "người"}).json()["hits"] != []


def test_popular_questions_are_asked_anew_when_a_snapshot_goes_into_service(home):
    settings, _, newer = home
    with TestClient(create_app(settings, embedder=ColourEmbedder())) as client:
        for _ in range(3):
            client.get("/v1/search", params={"q": "người", "limit": 3})
        desk = client.app.state.service.desk
        assert len(desk._answers) == 1
        rollback(settings.shelf_dir, newer)
        until(lambda: len(desk._answers) == 2)
        with client.app.state.service.serving.borrow() as here:
            here.engine.search = None  # it must not be asked
        assert client.get("/v1/search", params={"q": "người", "limit": 3}).json()["snapshot"] == newer


def test_a_snapshot_that_comes_when_the_service_has_ended_is_closed(home, monkeypatch):
    settings, _, _ = home
    serving = Serving(Shelf(settings.shelf_dir), QueryEncoders(settings, [ColourEmbedder()]))
    opened, open_it = [], serving._open

    def slowly(snapshot_id):
        opened.append(open_it(snapshot_id))
        monkeypatch.setattr(opened[0].snapshot, "close", lambda close=opened[0].snapshot.close: opened.append(close()))
        serving.close()
        return opened[0]

    monkeypatch.setattr(serving, "_open", slowly)
    serving.refresh()
    assert len(opened) == 2 and serving.snapshot_id is None
    assert not serving.refresh() and len(opened) == 2
