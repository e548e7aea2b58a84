"""What is particular to the local folder: links, left-overs, a full disk."""

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from khung.errors import NotFound, Outage
from khung.stores.archive_local import ASIDE, LocalArchive


def test_links_out_of_the_archive_are_not_followed(tmp_path: Path) -> None:
    archive = LocalArchive(tmp_path / "archive")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (archive.root / "videos").symlink_to(outside)
    (archive.root / "media").mkdir()
    (archive.root / "media" / "v.mp4").symlink_to(outside / "secret")
    for key in ("videos/secret", "media/v.mp4"):
        with pytest.raises(NotFound):
            archive.get_bytes(key)
        with pytest.raises(NotFound):
            archive.put_bytes(key, b"x")
        with pytest.raises(NotFound):
            archive.delete(key)
    assert list(archive.keys("")) == []
    assert (outside / "secret").read_bytes() == b"secret"


def test_the_archive_may_itself_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "archive").symlink_to(tmp_path / "disk")
    LocalArchive(tmp_path / "archive").put_bytes("a/b", b"x")
    assert (tmp_path / "disk" / "a" / "b").read_bytes() == b"x"


def test_deleting_leaves_no_empty_folders(tmp_path: Path) -> None:
    archive = LocalArchive(tmp_path)
    archive.put_bytes("frames/v/00000001/thumb.webp", b"x")
    archive.delete("frames/v/00000001/thumb.webp")
    assert [p.name for p in tmp_path.iterdir()] == [ASIDE]


def test_a_put_outlasts_deletes_that_take_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, replace, taken = LocalArchive(tmp_path), os.replace, []

    def slow_replace(source: str, target: Path) -> None:
        if len(taken) < 5:
            taken.append(target.parent.rmdir())  # what a delete of the folder's last file does, at the worst moment
        replace(source, target)

    monkeypatch.setattr(os, "replace", slow_replace)
    archive.put_bytes("a/b", b"x")
    assert (archive.get_bytes("a/b"), len(taken)) == (b"x", 5)


def test_a_put_outlasts_a_delete_while_it_makes_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, is_dir, taken = LocalArchive(tmp_path), Path.is_dir, []
    (tmp_path / "a").mkdir()

    def late_look(path: Path) -> bool:
        if path.name == "a" and len(taken) < 5:  # `mkdir` met the folder, and looks whether it is one
            taken.append(path.rmdir())
        return is_dir(path)

    monkeypatch.setattr(Path, "is_dir", late_look)
    archive.put_bytes("a/b", b"x")
    assert archive.get_bytes("a/b") == b"x"
    assert taken


def test_a_file_in_the_place_of_a_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    archive = LocalArchive(tmp_path)
    archive.put_bytes("a", b"a file")
    for key in ("a/b", "a/b/c"):
        with pytest.raises(Outage, match=re.escape(str(tmp_path / "a"))):
            archive.put_bytes(key, b"x")
    assert archive.get_bytes("a") == b"a file"
    assert list((tmp_path / ASIDE).iterdir()) == []


FULL_DISK = """
import resource, sys
from pathlib import Path
from khung.errors import StoreError
from khung.stores.archive_local import LocalArchive
archive = LocalArchive(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # the kernel refuses the write, as a full disk does
try:
    archive.put_bytes("a/b", b"x" * 200_000)
except StoreError as error:
    print(error)
    sys.exit(3)
"""


def test_a_full_disk_leaves_the_old_value(tmp_path: Path) -> None:
    archive = LocalArchive(tmp_path)
    archive.put_bytes("a/b", b"old")
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    child = subprocess.run([sys.executable, "-c", FULL_DISK, tmp_path], capture_output=True, text=True, check=False)
    assert child.returncode == 3, child.stderr
    assert "Is the disk full?" in child.stdout
    assert archive.get_bytes("a/b") == b"old"
    assert list((tmp_path / ASIDE).iterdir()) == []


def test_what_a_killed_writer_left_goes_when_it_is_old(tmp_path: Path) -> None:
    archive = LocalArchive(tmp_path)
    for name in ("old", "young"):
        (tmp_path / ASIDE / name).write_bytes(b"half a film")
    os.utime(tmp_path / ASIDE / "old", (0, 0))
    assert archive.tidy() == 1
    assert [path.name for path in (tmp_path / ASIDE).iterdir()] == ["young"]
