"""Which files of the inbox are taken, and when."""

import errno
import os
from pathlib import Path

import pytest

from khung.stores.whole import say_whole
from orchestration.inbox import Inbox


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    (tmp_path / "inbox").mkdir()
    return Inbox(tmp_path / "inbox", tmp_path / "home" / "inbox.sqlite")


def put(inbox: Inbox, name: str, data: bytes = b"video") -> Path:
    path = inbox.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def names(arrivals) -> list[str]:
    return [arrival.path.name for arrival in arrivals]


def test_a_file_is_ready_at_the_second_look(inbox):
    put(inbox, "a.mp4")
    assert inbox.look() == ([], 1)
    ready, growing = inbox.look()
    assert (names(ready), growing) == (["a.mp4"], 0)


def test_a_file_that_grows_waits_until_it_stops(inbox):
    path = put(inbox, "a.mp4", b"the first part")
    for part in (b" and more", b" and more again"):
        assert inbox.look()[0] == []
        with path.open("ab") as file:
            file.write(part)
    assert inbox.look() == ([], 1)
    assert names(inbox.look()[0]) == ["a.mp4"]


def test_a_file_that_says_it_is_whole_is_ready_at_the_first_look(inbox):
    say_whole(put(inbox, "upload.mp4"))
    put(inbox, "copy.mp4")
    ready, growing = inbox.look()
    assert (names(ready), growing) == (["upload.mp4"], 1)
    assert names(inbox.look()[0]) == ["copy.mp4", "upload.mp4"], "until it is taken"
    inbox.taken(ready)
    assert names(inbox.look()[0]) == ["copy.mp4"]


def test_a_file_that_is_not_as_large_as_it_says_is_not_believed(inbox):
    path = put(inbox, "a.mp4", b"a whole video")
    say_whole(path)
    os.truncate(path, 5)  # a copy that took the attribute along, and still grows
    assert inbox.look() == ([], 1)


def test_where_a_file_system_keeps_no_attributes_a_file_is_looked_at_twice(inbox, monkeypatch):
    def refused(*_):
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(os, "setxattr", refused)
    monkeypatch.setattr(os, "getxattr", refused)
    say_whole(put(inbox, "a.mp4"))
    assert inbox.look() == ([], 1)
    assert names(inbox.look()[0]) == ["a.mp4"]


def test_a_file_of_the_same_size_written_anew_waits_too(inbox):
    path = put(inbox, "a.mp4")
    inbox.look()
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))
    assert inbox.look() == ([], 1)


def test_what_was_taken_comes_up_again_only_when_it_changes(inbox):
    put(inbox, "a.mp4")
    inbox.look()
    inbox.taken(inbox.look()[0])
    assert inbox.look() == ([], 0)
    put(inbox, "a.mp4", b"another video")
    inbox.look()
    assert names(inbox.look()[0]) == ["a.mp4"]


def test_a_file_that_went_and_came_back_is_new(inbox):
    path = put(inbox, "a.mp4")
    inbox.look()
    inbox.taken(inbox.look()[0])
    path.unlink()
    inbox.look()
    put(inbox, "a.mp4")
    assert inbox.look() == ([], 1)


def test_half_named_hidden_and_other_files_are_no_arrivals(inbox):
    for name in ("a.mp4.part", "b.mp4.crdownload", ".c.mp4", "read me.txt", "d.srt", ".hidden/e.mp4", "~f.tmp"):
        put(inbox, name)
    put(inbox, "real.MOV")
    inbox.look()
    assert names(inbox.look()[0]) == ["real.MOV"]


def test_a_link_could_lead_out_of_the_inbox(inbox, tmp_path):
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"secret")
    (inbox.folder / "a.mp4").symlink_to(secret)
    (inbox.folder / "folder").symlink_to(tmp_path)
    inbox.look()
    assert inbox.look() == ([], 0)


def test_names_of_every_kind_and_subfolders(inbox):
    wild = ["Phố cổ “Hà Nội”.mp4", "it's -- a $(name).mkv", "sub/dir/x.webm", os.fsdecode(b"not-utf8-\xff.mp4")]
    for name in wild:
        put(inbox, name)
    inbox.look()
    ready, _ = inbox.look()
    assert sorted(names(ready)) == sorted(Path(name).name for name in wild)
    inbox.taken(ready)
    assert inbox.look() == ([], 0)


def test_no_folder_is_an_empty_inbox(tmp_path):
    assert Inbox(tmp_path / "none", tmp_path / "book.sqlite").look() == ([], 0)
