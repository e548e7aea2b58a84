"""An embedded home brought into real services: everything is found there, and nothing is changed where it came from."""

from pathlib import Path

import pytest
from own_services import own_stores
from sample_shelf import make_library, seal_all

from khung.errors import ConfigError, NotFound, StoreError
from khung.settings import Settings
from khung.shards import adopt as adopting
from khung.shards import archived
from khung.shards.adopt import adopt
from khung.shards.erase import erase
from khung.shards.manifest import shard_of
from khung.shards.shelf import open_shelf
from khung.shards.snapshot import publish
from khung.stores import LedgerEntry
from khung.stores.archive_local import LocalArchive
from khung.stores.ledger_sqlite import SqliteLedger
from khung.stores.library import Library
from khung.stores.open import open_archive, open_database, open_ledger

pytestmark = pytest.mark.services
SHARDS = 2


@pytest.fixture
def services(tmp_path: Path):
    settings = Settings(home=tmp_path / "machine", shard_count=SHARDS, stores=own_stores(), _env_file=None)
    yield settings
    open_database(settings).close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Four videos, of which one was erased; one more file of a content that is known."""
    own = Settings(home=tmp_path / "home", shard_count=SHARDS, _env_file=None)
    library, ledger, made = Library(LocalArchive(own.archive_dir)), SqliteLedger(own.ledger_path), make_library(4)
    shards = seal_all(own.shelf_dir, made, SHARDS)
    for one in made:
        video_id = one.video.video_id
        library.put_video(one.video)
        library.put_image(video_id, 0, "thumb.webp", video_id.encode() * 50)
        ledger.claim(one.video.sha256, f"{video_id}.mp4", video_id)
        ledger.put([LedgerEntry(video_id, "videos", "done", code_version="2", fingerprint="f")])
        ledger.put([LedgerEntry(video_id, "shard_indices", "done", fingerprint=shards[shard_of(video_id, SHARDS)])])
    ledger.claim(made[0].video.sha256, "copy.mp4", "copy")
    publish(own.shelf_dir, shards, measure=lambda _: {"vector_text": (0.25, 0.5)})
    erase(own.shelf_dir, ["L03_V001"])
    library.delete_video("L03_V001")
    ledger.forget("L03_V001")
    ledger.close()
    return own.home


def contents(home: Path) -> dict[str, bytes]:
    return {str(p.relative_to(home)): p.read_bytes() for p in home.rglob("*") if p.is_file() and "ledger" not in p.name}


def test_a_home_is_brought_whole_and_again_after_a_crash(home, services, monkeypatch) -> None:
    before = contents(home)
    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(adopting, "_publish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        adopt(home, services)
    done = adopt(home, services)
    assert adopt(home, services) == done and contents(home) == before
    assert done.videos == 4 and done.files == 6
    shelf, ledger, library = open_shelf(services), open_ledger(services), Library(open_archive(services))
    assert shelf.current() == done.snapshot_id and len(shelf.history()) == 1
    with shelf.open(done.snapshot_id) as opened:
        assert len(opened.records) == len(opened.text) == 30
        assert opened.normalisers == {"vector_text": (0.25, 0.5)}
    states = {e.video_id: (e.state, e.code_version, e.fingerprint) for e in ledger.find(stage="videos")}
    assert states["L00_V001"] == ("done", "2", "f") and states["copy"][0] == "linked"
    assert library.video_ids() == ["L00_V001", "L01_V001", "L02_V001"]
    assert ledger.claim(library.video("L01_V001").sha256, "L01_V001.mp4", "L01_V001") == ("L01_V001", "")
    assert archived.erased(library.archive) == ["L03_V001"]


def test_two_libraries_are_not_joined(home, services, tmp_path: Path) -> None:
    open_ledger(services).put([LedgerEntry("another", "videos", "done")])
    with pytest.raises(StoreError, match="another library: another"):
        adopt(home, services)
    with pytest.raises(NotFound, match="no home of khung"):
        adopt(tmp_path, services)
    with pytest.raises(ConfigError, match="name no services"):
        adopt(home, Settings(home=tmp_path / "x", _env_file=None))
