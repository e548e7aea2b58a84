"""What a stranger's file is, by its first bytes, and which demuxer alone may open it.

The name of a file is never believed: FFmpeg would open an HLS playlist called `holiday.mp4` and follow the addresses in
it. Nothing here opens a container.
"""

import re
from pathlib import Path

from khung.errors import MediaError

HEAD_BYTES = 4096

CONTAINER_OPTIONS = {"protocol_whitelist": "file", "enable_drefs": "0", "use_absolute_path": "0"}
"""For `av.open`: no protocol but files, and no media in other files that a QuickTime header points to."""

CODECS = frozenset(
    [
        "av1",
        "libdav1d",
        "libaom-av1",
        "cfhd",
        "cinepak",
        "dnxhd",
        "dvvideo",
        "ffv1",
        "flashsv",
        "flashsv2",
        "flv",
        "flv1",
        "h261",
        "h263",
        "h263p",
        "h264",
        "hevc",
        "huffyuv",
        "ffvhuff",
        "mjpeg",
        "mpeg1video",
        "mpeg2video",
        "mpeg4",
        "msmpeg4",
        "msmpeg4v1",
        "msmpeg4v2",
        "msmpeg4v3",
        "prores",
        "qtrle",
        "rawvideo",
        "rpza",
        "rv10",
        "rv20",
        "rv30",
        "rv40",
        "svq1",
        "svq3",
        "theora",
        "utvideo",
        "vc1",
        "vp3",
        "vp5",
        "vp6",
        "vp6f",
        "vp8",
        "vp9",
        "libvpx",
        "libvpx-vp9",
        "vvc",
        "wmv1",
        "wmv2",
        "wmv3",
        "gif",
    ]
)
"""Decoders that may run. FFmpeg has hundreds; those for games of the nineties are where its bugs live."""

_NAMES = {
    "mov": "MP4/MOV",
    "matroska": "MKV/WebM",
    "avi": "AVI",
    "mpegts": "MPEG-TS",
    "mpeg": "MPEG-PS",
    "asf": "WMV/ASF",
    "flv": "FLV",
}

_ASF = bytes.fromhex("3026b2758e66cf11")
_MXF = bytes.fromhex("060e2b34020501010d0102")
_MAGIC: tuple[tuple[str, re.Pattern[bytes]], ...] = tuple(
    (demuxer, re.compile(pattern, re.DOTALL))
    for demuxer, pattern in (
        ("mov", rb".{4}(ftyp|moov|mdat|wide|free|skip|pnot)"),
        ("matroska", rb"\x1a\x45\xdf\xa3"),
        ("avi", rb"RIFF.{4}AVI[ X\x19]"),
        ("mpeg", rb"\x00\x00\x01\xba"),
        ("mpegvideo", rb"\x00\x00\x01\xb3"),
        ("mpegts", rb"G.{187}G.{187}G|.{4}G.{191}G.{191}G"),
        ("flv", rb"FLV\x01"),
        ("ogg", rb"OggS"),
        ("asf", re.escape(_ASF)),
        ("mxf", re.escape(_MXF)),
        ("rm", rb"\.RMF\x00\x00"),
        ("ivf", rb"DKIF\x00\x00"),
        ("yuv4mpegpipe", rb"YUV4MPEG2 "),
        ("gif", rb"GIF8[79]a"),
    )
)
_PLAYLIST = re.compile(
    rb"\s*(#EXTM3U|ffconcat\s|\[playlist\]|\[Reference\]|<ASX|<smil|v=0\r?\no=|(<\?xml[^>]*>\s*)?<(MPD|SmoothStreamingMedia|playlist))",
    re.IGNORECASE,
)


def container_name(demuxer: str) -> str:
    """What people call it; others are shown as they are."""
    return _NAMES.get(demuxer, demuxer)


def sniff(path: Path) -> str:
    """The demuxer for the file's first bytes. Raises MediaError `unreadable`, `empty_file`, `playlist_refused` or
    `not_a_video`."""
    if path.exists() and not path.is_file():  # a pipe would block for ever
        raise MediaError("unreadable", f"{path.name} is not a regular file.")
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise MediaError("unreadable", f"{path.name} cannot be read: {error.strerror}.") from error
    return demuxer_of(head)


def demuxer_of(head: bytes) -> str:
    """As `sniff`, for bytes in hand."""
    if not head:
        raise MediaError("empty_file", "The file is empty.", cure="Upload it again.")
    for demuxer, magic in _MAGIC:
        if magic.match(head):
            return demuxer
    if _PLAYLIST.match(head.removeprefix(b"\xef\xbb\xbf")):
        raise MediaError(
            "playlist_refused",
            "This is a playlist: a text that points to other files or addresses, which are never opened.",
            cure="Upload the video itself.",
        )
    raise MediaError(
        "not_a_video",
        "The first bytes are those of no video container that khung knows.",
        cure="Convert it to MP4, MKV or WebM.",
    )
