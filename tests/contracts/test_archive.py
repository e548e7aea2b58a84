"""What every Archive promises."""

import functools
import os
import re
import secrets
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import servers

from khung.errors import NotFound, SourceUnreadable, StoreError
from khung.stores import Archive
from khung.stores.archive_local import LocalArchive
from khung.stores.archive_s3 import S3Archive, client_of


def on_server(name: str, folder: Path) -> Archive:
    """A bucket of its own on one of the session's S3 servers."""
    return S3Archive(f"{servers.shared(name)}-{secrets.token_hex(6)}", folder)


@pytest.fixture(params=["local", *(pytest.param(n, marks=pytest.mark.services) for n in ("minio", "seaweedfs"))])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Archive:
    makers: dict[str, Callable[[Path], Archive]] = {
        "local": LocalArchive,
        "minio": functools.partial(on_server, "s3"),
        "seaweedfs": functools.partial(on_server, "seaweedfs"),
    }
    return makers[request.param](tmp_path / "archive")


def test_bytes_come_back(archive: Archive) -> None:
    archive.put_bytes("videos/v/a.bin", b"one")
    archive.put_bytes("videos/v/a.bin", b"two!", content_type="text/plain")
    assert archive.get_bytes("videos/v/a.bin") == b"two!"
    assert archive.size("videos/v/a.bin") == 4
    assert archive.local_path("videos/v/a.bin").read_bytes() == b"two!"


def test_a_file_is_copied_not_linked(archive: Archive, tmp_path: Path) -> None:
    source = tmp_path / "clip.mp4"
    source.write_bytes(os.urandom(3_000_000))
    archive.put_file("media/v.mp4", source)
    before = source.read_bytes()
    with open(source, "r+b") as handle:
        handle.write(b"changed")
    assert archive.get_bytes("media/v.mp4") == before
    with archive.open("media/v.mp4", offset=2_000_000) as stream:
        assert stream.read() == before[2_000_000:]


def test_an_empty_value_is_a_value(archive: Archive) -> None:
    archive.put_bytes("a/empty", b"")
    assert archive.size("a/empty") == 0
    assert archive.get_bytes("a/empty") == b""


def test_what_is_not_there(archive: Archive) -> None:
    assert archive.size("no/such") is None
    assert list(archive.keys("no/")) == []
    archive.delete("no/such")
    for ask in (archive.get_bytes, archive.open, archive.local_path):
        with pytest.raises(NotFound):
            ask("no/such")


def test_keys_by_prefix_are_sorted(archive: Archive) -> None:
    names = ["frames/v/00000001/thumb.webp", "media/v.mp4", "media/v2.mp4", "videos/v/a", "videos/v2/a"]
    for name in reversed(names):
        archive.put_bytes(name, b"x")
    assert list(archive.keys("")) == names
    assert list(archive.keys("videos/v/")) == ["videos/v/a"]
    assert list(archive.keys("media/v")) == ["media/v.mp4", "media/v2.mp4"]
    archive.delete("videos/v/a")
    assert list(archive.keys("videos/")) == ["videos/v2/a"]


@pytest.mark.parametrize(
    "key",
    ["", "/etc/passwd", "../out", "a/../../out", "a//b", "a/./b", "a/", "a\\..\\b", "a\0b", ".aside/x", "a/.x", "a\n"],
)
def test_a_key_that_could_lead_elsewhere_is_refused(archive: Archive, key: str) -> None:
    check_refused(archive, key)


@pytest.mark.parametrize("key", ["%2e%2e/x y", "x" * 1000, "a:b", "é/ü"])
def test_a_key_that_some_store_could_not_hold_is_refused(archive: Archive, key: str) -> None:
    check_refused(archive, key)


def check_refused(archive: Archive, key: str) -> None:
    with pytest.raises(NotFound):
        archive.put_bytes(key, b"x")
    with pytest.raises(NotFound):
        archive.get_bytes(key)


@pytest.mark.parametrize("kind", ["missing", "folder", "damaged"])
def test_a_source_that_cannot_be_read_is_named_and_the_archive_not_blamed(
    archive: Archive, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "folder").mkdir()
    damaged = Path(
        "/proc/self/mem"
    )  # opens well; its first byte belongs to nobody, so the kernel answers with an I/O error
    source = {"missing": tmp_path / "missing.mp4", "folder": tmp_path / "folder", "damaged": damaged}[kind]
    archive.put_bytes("media/v.mp4", b"old")
    with pytest.raises(SourceUnreadable, match=re.escape(str(source))) as caught:
        archive.put_file("media/v.mp4", source)
    assert "archive" not in caught.value.message and "Is the file still there" in caught.value.cure
    assert archive.get_bytes("media/v.mp4") == b"old"
    assert list(archive.keys("")) == ["media/v.mp4"]


def test_an_archive_that_cannot_be_written_to_is_named_and_the_source_not_blamed(
    archive: Archive, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    source = tmp_path / "clip.mp4"
    source.write_bytes(b"film")
    if isinstance(archive, LocalArchive):
        shutil.rmtree(archive.root)
    else:  # its key is no longer good
        url = servers.shared({"minio": "s3"}.get(name := request.node.callspec.params["archive"], name))
        archive._s3, _ = client_of(url.replace("khung-test-secret", "another-secret"))
    for put in (lambda: archive.put_file("media/v.mp4", source), lambda: archive.put_bytes("media/v.mp4", b"film")):
        with pytest.raises(StoreError, match=r"The archive could not write media/v\.mp4") as caught:
            put()
        assert caught.value.cure and str(source) not in caught.value.message


def test_readers_never_see_half_a_value(archive: Archive) -> None:
    values = [bytes([i]) * 200_000 for i in range(2)]
    archive.put_bytes("a/b", values[0])
    done = threading.Event()

    def write() -> None:
        for turn in range(60):
            archive.put_bytes("a/b", values[turn % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    reads = 0
    while not done.is_set() or not reads:
        assert archive.get_bytes("a/b") in values
        reads += 1
    writer.join()


def test_puts_and_deletes_beside_each_other(archive: Archive) -> None:
    errors: list[BaseException] = []

    def churn(number: int) -> None:
        try:
            for turn in range(40):
                archive.put_bytes(f"a/b/{number}", b"x")
                if turn % 2:
                    archive.delete(f"a/b/{number}")
                else:
                    assert archive.get_bytes(f"a/b/{number}") == b"x"
        except (AssertionError, StoreError) as error:
            errors.append(error)

    threads = [threading.Thread(target=churn, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
