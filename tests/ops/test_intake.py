"""Registering files."""

import dataclasses
import hashlib
import os
from pathlib import Path

import pytest

from khung.errors import CorruptError, MediaError
from khung.stores import LedgerEntry
from khung.stores.archive_local import LocalArchive
from khung.stores.ledger_sqlite import SqliteLedger
from khung.stores.library import Library
from khung.stores.sources import get_source
from ops.intake import register, register_all


@pytest.fixture
def stores(tmp_path: Path) -> tuple[SqliteLedger, Library]:
    return SqliteLedger(tmp_path / "ledger.sqlite"), Library(LocalArchive(tmp_path / "archive"))


def put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_a_file_gets_an_id_a_line_and_a_source(stores, tmp_path):
    ledger, library = stores
    path = put(tmp_path, "Phố cổ (2).mp4", b"abc")
    assert register(path, ledger, library).video_id == "Pho_co_2"
    source = get_source(library.archive, "Pho_co_2")
    assert (source.path, source.name) == (str(path), "Phố cổ (2).mp4")
    assert source.sha256 == hashlib.sha256(b"abc").hexdigest()
    assert ledger.get("Pho_co_2")["videos"].state == "waiting"


def test_again_changes_nothing(stores, tmp_path):
    ledger, library = stores
    path = put(tmp_path, "a.mp4", b"abc")
    first = register(path, ledger, library)
    ledger.put([LedgerEntry("a", "videos", "done", fingerprint="x")])
    before = ledger.get("a")
    assert register(path, ledger, library) == first
    assert ledger.get("a") == before


@pytest.mark.parametrize("state", ["waiting", "running", "failed"])
@pytest.mark.parametrize("name", ["a.mp4", "another name.mp4"])
def test_a_file_that_moved_before_it_was_copied_is_found_where_it_is_now(stores, tmp_path, state, name):
    ledger, library = stores
    old = put(tmp_path, "a.mp4", b"abc")
    register(old, ledger, library)
    ledger.put([LedgerEntry("a", "videos", state)])
    (tmp_path / "new").mkdir()
    new = old.rename(tmp_path / "new" / name)
    register(new, ledger, library)
    source = get_source(library.archive, "a")
    assert (source.path, source.name) == (str(new), "a.mp4")
    assert ledger.get("a")["videos"].state == state


@pytest.mark.parametrize("left", [None, b"{half"])
def test_where_a_waiting_file_lay_may_be_lost(stores, tmp_path, left):
    ledger, library = stores
    path = put(tmp_path, "a.mp4", b"abc")
    register(path, ledger, library)
    library.archive.delete("videos/a/source.json")
    if left is not None:
        library.archive.put_bytes("videos/a/source.json", left)
    register(path, ledger, library)
    assert get_source(library.archive, "a").path == str(path)


def test_a_pipe_is_not_waited_for(stores, tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(MediaError, match="no file"):
        register(tmp_path / "pipe.mp4", *stores)


def test_what_stopped_half_way_is_made_good(stores, tmp_path):
    """A claim without a line: the process died between the two."""
    ledger, library = stores
    path = put(tmp_path, "a.mp4", b"abc")
    ledger.claim(hashlib.sha256(b"abc").hexdigest(), "a.mp4", "a")
    assert register(path, ledger, library).video_id == "a"
    assert ledger.get("a")["videos"].state == "waiting"


def test_a_name_that_is_no_utf8_is_read_and_cleaned(stores, tmp_path):
    ledger, library = stores
    path = put(tmp_path, os.fsdecode(b"caf\xff-\xe9.mp4"), b"abc")
    video_id = register(path, ledger, library).video_id
    assert Path(get_source(library.archive, video_id).path).read_bytes() == b"abc"


def test_a_file_that_cannot_be_read_does_not_stop_the_others(stores, tmp_path):
    ledger, library = stores
    paths = [put(tmp_path, "a.mp4", b"a"), tmp_path / "gone.mp4", tmp_path, put(tmp_path, "b.mp4", b"b")]
    known, unreadable = register_all(paths, ledger, library)
    assert [video.video_id for video in known] == ["a", "b"]
    assert {path.name for path in unreadable} == {"gone.mp4", tmp_path.name}
    assert all(isinstance(error, MediaError) and error.reason == "unreadable" for error in unreadable.values())


def test_a_source_that_is_damaged_is_refused(stores, tmp_path):
    ledger, library = stores
    register(put(tmp_path, "a.mp4", b"abc"), ledger, library)
    library.archive.put_bytes("videos/a/source.json", b'{"path": 1')
    with pytest.raises(CorruptError):
        get_source(library.archive, "a")
    assert dataclasses.is_dataclass(register(put(tmp_path, "b.mp4", b"b"), ledger, library))
