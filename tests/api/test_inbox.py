"""Uploads: whole or not at all, never over another file, never outside the folder."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khung.api.inbox import EXTENSIONS, Inbox, safe_name
from khung.errors import MediaError
from khung.stores.whole import is_whole


async def chunks(*parts):
    for part in parts:
        yield part


def receive(inbox, name, *parts):
    return asyncio.run(inbox.receive(name, chunks(*parts)))


@pytest.fixture
def inbox(tmp_path):
    return Inbox(tmp_path / "inbox", max_bytes=100)


def test_bytes_arrive_whole(inbox):
    assert receive(inbox, "Phố cổ.MP4", b"ab", b"cd") == "Phố cổ.mp4"
    assert (inbox.folder / "Phố cổ.mp4").read_bytes() == b"abcd"
    assert inbox.files() == ["Phố cổ.mp4"]
    assert is_whole(inbox.folder / "Phố cổ.mp4", 4), "so nobody waits to see whether it grows"


def test_no_upload_replaces_another(inbox):
    assert receive(inbox, "a.mp4", b"1") == "a.mp4"
    assert receive(inbox, "a.mp4", b"2") == "a (2).mp4"
    assert (inbox.folder / "a.mp4").read_bytes() == b"1"


@pytest.mark.parametrize(("parts", "reason"), [((), "empty_file"), ((b"x" * 60, b"x" * 60), "too_large")])
def test_refused_uploads_leave_nothing(inbox, parts, reason):
    with pytest.raises(MediaError) as refused:
        receive(inbox, "a.mp4", *parts)
    assert refused.value.reason == reason
    assert list(inbox.folder.iterdir()) == []


def test_a_broken_connection_leaves_nothing(inbox):
    async def broken():
        yield b"half"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        asyncio.run(inbox.receive("a.mp4", broken()))
    assert list(inbox.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../../etc/passwd.mp4", "passwd.mp4"),
        ("..\\..\\windows\\x.mkv", "x.mkv"),
        ("/etc/cron.d/x.mp4", "x.mp4"),
        ("a\x00b\n.mp4", "ab.mp4"),
        ('"><script>alert(1)<.mp4', "_script_alert(1)_.mp4"),
        ("Tô\u0302i.mp4".replace("ô\u0302", "o\u0302"), "Tôi.mp4"),
    ],
)
def test_names(name, expected):
    assert safe_name(name) == expected


@pytest.mark.parametrize("name", ["", ".mp4", "..", "x.exe", "x", "mp4", "a.mp4/"])
def test_refused_names(name):
    with pytest.raises(MediaError):
        safe_name(name)


@given(st.text(max_size=300), st.sampled_from(sorted(EXTENSIONS)))
def test_any_name_is_refused_or_safe(stem, extension):
    try:
        name = safe_name(stem + extension)
    except MediaError:
        return
    assert "/" not in name and "\\" not in name and not name.startswith(".")
    assert len(name.encode()) <= 190
    assert safe_name(name) == name
