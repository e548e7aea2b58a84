"""The first bytes decide, never the name."""

import pytest

from khung.errors import MediaError
from khung.video.formats import demuxer_of, sniff

TS = (b"G" + bytes(187)) * 3
M2TS = (bytes(4) + b"G" + bytes(187)) * 3


@pytest.mark.parametrize(
    ("head", "demuxer"),
    [
        (b"\x00\x00\x00\x20ftypisom", "mov"),
        (b"\x00\x00\x00\x08wide\x00\x00\x00\x00mdat", "mov"),
        (b"\x1a\x45\xdf\xa3\x01", "matroska"),
        (b"RIFF\x10\x00\x00\x00AVI LIST", "avi"),
        (b"\x00\x00\x01\xba\x44", "mpeg"),
        (b"\x00\x00\x01\xb3\x2d", "mpegvideo"),
        (TS, "mpegts"),
        (M2TS, "mpegts"),
        (b"FLV\x01\x05", "flv"),
        (b"OggS\x00\x02", "ogg"),
        (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), "asf"),
        (b"GIF89a\x01\x00", "gif"),
    ],
)
def test_containers_are_known_by_their_magic(head, demuxer):
    assert demuxer_of(head) == demuxer


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"", "empty_file"),
        (b"#EXTM3U\n#EXTINF:1,\nhttp://example.org/a.ts\n", "playlist_refused"),
        (b"\xef\xbb\xbf\n#EXTM3U8\n", "playlist_refused"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "playlist_refused"),
        (b"<?xml version='1.0'?>\n<MPD xmlns='urn:mpeg:dash'>", "playlist_refused"),
        (b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n", "playlist_refused"),
        (b"Just a text about a holiday.", "not_a_video"),
        (b"\x89PNG\r\n\x1a\n", "not_a_video"),
        (b"PK\x03\x04", "not_a_video"),
        (b"<!doctype html><title>404</title>", "not_a_video"),
        (b"RIFF\x10\x00\x00\x00WAVEfmt ", "not_a_video"),
        (b"G" + bytes(400), "not_a_video"),
    ],
)
def test_anything_else_is_refused_with_a_reason(head, reason):
    with pytest.raises(MediaError) as caught:
        demuxer_of(head)
    assert caught.value.reason == reason


def test_a_file_that_is_not_there_is_unreadable(tmp_path):
    with pytest.raises(MediaError) as caught:
        sniff(tmp_path / "gone.mp4")
    assert caught.value.reason == "unreadable"
