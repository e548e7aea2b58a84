"""Broken, lying and hostile video files, each with the verdict it must get. `python tests/support/hostile_corpus.py FOLDER` makes them.

A verdict is a reason (`MediaError.reason`), or `ok` with the number of frames that must at least be found and the warnings that
must be among those given. Everything is made from bytes and small encodings: nothing is downloaded.
"""

import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from made_videos import make_sound, make_video


@dataclass(frozen=True)
class Case:
    name: str
    make: Callable[[Path], object]  # writes the file at the path
    verdict: str  # ok, or the reason
    frames: int = 0
    warnings: frozenset[str] = frozenset()


CASES: list[Case] = []


def case(name: str, verdict: str, frames: int = 0, *warnings: str):
    def add(make: Callable[[Path], object]) -> Callable[[Path], object]:
        CASES.append(Case(name, make, verdict, frames, frozenset(warnings)))
        return make

    return add


def content(name: str, verdict: str, data: bytes) -> None:
    case(name, verdict)(lambda path: path.write_bytes(data))


# --- no video at all -------------------------------------------------------------------------------------------------
content("empty.mp4", "empty_file", b"")
content("one_byte.mp4", "not_a_video", b"\0")
content("text.mp4", "not_a_video", "Một ngày đẹp trời ở Đà Lạt.\n".encode() * 50)
content("page.mp4", "not_a_video", b"<!doctype html><title>404 Not Found</title>")
content("archive.mp4", "not_a_video", b"PK\x03\x04" + bytes(500))
content("picture.mp4", "not_a_video", b"\x89PNG\r\n\x1a\n" + bytes(500))
content("program.mp4", "not_a_video", b"\x7fELF\x02\x01\x01" + bytes(500))
content("document.mp4", "not_a_video", b"%PDF-1.7\n" + bytes(500))
content("sound.wav.mp4", "not_a_video", b"RIFF\x24\0\0\0WAVEfmt " + bytes(500))
content("zeros.mp4", "not_a_video", bytes(2**20))
content("noise.mp4", "not_a_video", np.random.default_rng(4).bytes(2**18))

# --- texts that point elsewhere --------------------------------------------------------------------------------------
content("hls.mp4", "playlist_refused", b"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")
content("hls_bom.ts", "playlist_refused", b"\xef\xbb\xbf  #EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n")
content("concat.mkv", "playlist_refused", b"ffconcat version 1.0\nfile /etc/passwd\n")
content("dash.mp4", "playlist_refused", b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"/>')
content("session.mp4", "playlist_refused", b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 96\r\n")
content("windows.mp4", "playlist_refused", b'<ASX version="3.0"><ENTRY><REF HREF="http://127.0.0.1:9/"/></ENTRY></ASX>')
content("winamp.mp4", "playlist_refused", b"[playlist]\nFile1=http://127.0.0.1:9/a.mp4\n")
content("subfile.mp4", "not_a_video", b"subfile,,start,0,end,0,,:/etc/passwd")
content("ftyp_then_hls.mp4", "unreadable", b"\0\0\0\x10ftypisom\n#EXTM3U\n#EXTINF:1,\n/etc/passwd\n")
content("ogg_then_text.mp4", "unreadable", b"OggS" + b"/etc/passwd\n" * 50)


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


@case("reference_movie.mov", "no_video_stream")
def reference_movie(path: Path) -> None:
    """A QuickTime file that is only an address."""
    address = b"http://127.0.0.1:9/secret.mov\0"
    link = box(b"rdrf", bytes(4), b"url ", struct.pack(">I", len(address)), address)
    path.write_bytes(box(b"ftyp", b"qt  ", bytes(4)) + box(b"moov", box(b"rmra", box(b"rmda", link))))


@case("external_data.mov", "ok", 1)
def external_data(path: Path) -> None:
    """The header says that the samples lie in another file; only this file's own bytes are ever read."""
    whole = faststart(path).read_bytes()
    at = whole.index(b"dref")
    assert whole[at + 16 : at + 24] == b"url \0\0\0\x01"[:8] or b"url " in whole[at : at + 24]
    flags = whole.index(b"url ", at) + 7
    path.write_bytes(whole[:flags] + b"\0" + whole[flags + 1 :])


# --- cut off and damaged ---------------------------------------------------------------------------------------------
def faststart(path: Path, frames: int = 100, **options) -> Path:
    """A video with its index in front."""
    whole = path.with_name("whole_" + path.name)
    options = {"size": (320, 240), "codec_options": {"g": "20"}, "muxer_options": {"movflags": "faststart"}} | options
    return make_video(whole, frames, **options)


def plain(path: Path, frames: int = 100) -> bytes:
    """The bytes of a video in the path's container."""
    return make_video(path, frames, size=(320, 240), codec_options={"g": "20"}).read_bytes()


def cut(path: Path, share: float) -> None:
    data = plain(path)
    path.write_bytes(data[: int(len(data) * share)])


content("header_only.mp4", "unreadable", box(b"ftyp", b"isom", bytes(4)))
content("matroska_magic_only.mkv", "unreadable", b"\x1a\x45\xdf\xa3" + bytes(300))
content("avi_magic_only.avi", "unreadable", b"RIFF\x10\0\0\0AVI LIST" + bytes(300))
case("index_cut_off.mp4", "unreadable")(lambda path: cut(path, 0.9))
case("tail_cut.mkv", "ok", 20)(lambda path: cut(path, 0.6))
case("tail_cut.ts", "ok", 20)(lambda path: cut(path, 0.6))
case("tail_cut.avi", "ok", 20)(lambda path: cut(path, 0.6))
case("tail_cut.flv", "ok", 20)(lambda path: cut(path, 0.6))


@case("tail_cut_index_first.mp4", "ok", 20, "truncated_tail")
def tail_cut(path: Path) -> None:
    data = faststart(path).read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])


def samples(data: bytes) -> slice:
    """Where the coded frames of an MP4 lie."""
    at = data.index(b"mdat")
    return slice(at + 4, at - 4 + struct.unpack(">I", data[at - 4 : at])[0])


@case("samples_zeroed.mp4", "no_frames")
def zeroed(path: Path) -> None:
    data = bytearray(faststart(path).read_bytes())
    where = samples(data)
    data[where] = bytes(where.stop - where.start)
    path.write_bytes(data)


@case("half_zeroed.mp4", "ok", 20, "damaged_frames")
def half_zeroed(path: Path) -> None:
    data = bytearray(faststart(path).read_bytes())
    where = samples(data)
    half = (where.stop - where.start) // 2
    data[where.start : where.start + half] = bytes(half)
    path.write_bytes(data)


@case("flipped_bits.ts", "ok", 40)
def flipped(path: Path) -> None:
    data = bytearray(plain(path))
    for at in range(2000, len(data), 997):
        data[at] ^= 0x10
    path.write_bytes(data)


@case("garbage_between.ts", "ok", 80)
def garbage_between(path: Path) -> None:
    data = plain(path)
    half = len(data) // 376 * 188
    path.write_bytes(data[:half] + np.random.default_rng(6).bytes(5000) + data[half:])


@case("zip_behind.mp4", "ok", 100)
def polyglot(path: Path) -> None:
    path.write_bytes(plain(path) + b"PK\x03\x04" + bytes(1000))


# --- streams ---------------------------------------------------------------------------------------------------------
case("sound_only.mp4", "no_video_stream")(make_sound)
case("many_streams.mkv", "too_many_streams")(lambda path: make_sound(path, streams=40))
case("one_frame.mp4", "ok", 1)(lambda path: make_video(path, 1))
case("two_by_two.mkv", "ok", 5)(lambda path: make_video(path, 5, size=(2, 2), codec="ffv1", pixel_format="yuv444p"))
case("thin.mkv", "ok", 5)(lambda path: make_video(path, 5, size=(4, 3000), codec="ffv1", pixel_format="yuv444p"))
case("ten_bit.mp4", "ok", 25)(lambda path: make_video(path, pixel_format="yuv420p10le"))
case("rotated.mp4", "ok", 25)(lambda path: make_video(path, rotation=90))
case("tilted.mp4", "ok", 25)(lambda path: make_video(path, rotation=37.5))
case("absurd_pixels.mp4", "ok", 25)(lambda path: make_video(path, aspect=Fraction(1, 5000)))
case("game_codec.avi", "unsupported_codec")(lambda path: make_video(path, codec="asv1"))


@case("cover_picture.mp4", "no_video_stream")
def cover_picture(path: Path) -> None:
    """A song with a cover: its picture stream is no video."""
    with av.open(str(path), "w") as out:
        sound, cover = out.add_stream("aac", rate=16000), out.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        out.mux(cover.encode(av.VideoFrame(64, 64, "yuvj420p")))
        out.mux(cover.encode())
        quiet = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        quiet.sample_rate = 16000
        out.mux(sound.encode(quiet))
        out.mux(sound.encode())


@case("unknown_codec.avi", "unsupported_codec")
def unknown_codec(path: Path) -> None:
    make_video(path, codec="mpeg4")
    path.write_bytes(path.read_bytes().replace(b"FMP4", b"ZZZZ").replace(b"fmp4", b"ZZZZ"))


@case("size_changes.ts", "ok", 50)
def size_changes(path: Path) -> None:
    parts = [make_video(path.with_name(f"{width}_{path.name}"), size=(width, 48)) for width in (64, 128)]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))


# --- lies in headers -------------------------------------------------------------------------------------------------
def y4m(path: Path, header: bytes, frames: int = 5) -> None:
    """Uncompressed 16×16 video under a header of our own."""
    frame = b"FRAME\n" + bytes(range(256)) + bytes(128)
    path.write_bytes(b"YUV4MPEG2 " + header + b"\n" + frame * frames)


case("a_million_fps.y4m", "ok", 5)(lambda path: y4m(path, b"W16 H16 F1000000:1 Ip A1:1 C420jpeg"))
case("no_rate.y4m", "ok", 5)(lambda path: y4m(path, b"W16 H16 F0:0 Ip A0:0 C420jpeg"))
case("huge_y4m.mp4", "too_many_pixels")(lambda path: y4m(path, b"W16000 H16000 F25:1 Ip A1:1 C420jpeg"))
case("no_size.y4m", "unreadable")(lambda path: y4m(path, b"W0 H0 F25:1 Ip A1:1 C420jpeg"))


def gif(side: int) -> bytes:
    """A GIF whose screen and one picture claim to be so wide and high; the picture has a single byte of data."""
    size = struct.pack("<HH", side, side)
    return b"GIF89a" + size + bytes(3) + b"\x2c" + bytes(4) + size + b"\0\x02\x02\x44\x01\0\x3b"


content("large_screen.gif", "too_many_pixels", gif(9000))
content("impossible_screen.gif", "no_frames", gif(65535))  # FFmpeg itself calls the header nonsense


@case("huge_header.avi", "no_frames")
def huge_header(path: Path) -> None:
    """A JPEG header inside that claims 65,000 × 65,000."""
    data = bytearray(make_video(path, 3, codec="mjpeg", pixel_format="yuvj420p").read_bytes())
    at = data.index(b"\xff\xc0")
    while at >= 0:
        data[at + 5 : at + 9] = struct.pack(">HH", 65000, 65000)
        at = data.find(b"\xff\xc0", at + 9)
    at = data.index(b"strf") + 12
    data[at : at + 8] = struct.pack("<II", 65000, 65000)
    path.write_bytes(data)


def patched(path: Path, kind: bytes, offset: int, value: bytes) -> None:
    """A sound MP4 with some bytes behind each box name replaced."""
    data = bytearray(faststart(path, 25).read_bytes())
    at = data.index(kind)
    while at >= 0:
        data[at + offset : at + offset + len(value)] = value
        at = data.find(kind, at + offset + len(value))
    path.write_bytes(data)


case("duration_lies_long.mp4", "ok", 25)(lambda p: patched(p, b"mdhd", 20, struct.pack(">I", 2**31)))
case("duration_lies_short.mp4", "ok", 25)(lambda path: patched(path, b"mdhd", 20, struct.pack(">I", 1)))
case("no_time_scale.mp4", "ok", 1)(lambda path: patched(path, b"mdhd", 16, bytes(4)))
case("samples_without_end.mp4", "unreadable")(lambda p: patched(p, b"stsz", 12, struct.pack(">I", 0xFFFFFFFF)))
content(
    "box_without_end.mp4", "no_video_stream", b"\0\0\0\x10ftypisom" + bytes(4) + b"\xff\xff\xff\xffmoov" + bytes(64)
)
content("box_of_ages.mp4", "unreadable", b"\0\0\0\x10ftypisom" + bytes(4) + b"\0\0\0\x01moov" + b"\xff" * 8 + bytes(64))


@case("boxes_in_boxes.mp4", "unreadable")
def boxes_in_boxes(path: Path) -> None:
    inner = b""
    for _ in range(20_000):
        inner = box(b"moov", inner)[:8] + inner
    path.write_bytes(box(b"ftyp", b"isom", bytes(4)) + inner)


# --- times -----------------------------------------------------------------------------------------------------------
def timed(path: Path, times: list[int], **options) -> None:
    make_video(path, len(times), times=times, time_base=Fraction(1, 1000), **options)


case("variable_rate.mkv", "ok", 40)(lambda path: timed(path, [i * i for i in range(40)]))
case("negative_times.mkv", "ok", 30)(lambda path: timed(path, list(range(-1200, 1200, 80))))
case("one_frame_an_hour.mkv", "too_long")(lambda path: timed(path, [3_600_000 * i for i in range(9)]))
case("jump_of_thirty_hours.mkv", "too_long")(
    lambda path: timed(path, [*range(0, 1000, 40), *range(10**8, 10**8 + 1000, 40)])
)
case("two_minutes_of_nothing.mkv", "ok", 50)(
    lambda path: timed(path, [*range(0, 1000, 40), *range(121_000, 122_000, 40)])
)


@case("times_all_alike.mkv", "ok", 30, "repaired_times")
def times_all_alike(path: Path) -> None:
    """Uncompressed packets that all claim to be shown at once."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for index in range(30):
            for packet in stream.encode(av.VideoFrame.from_ndarray(np.full((32, 32, 3), index * 8, np.uint8), "rgb24")):
                packet.pts = packet.dts = 5
                out.mux(packet)


@case("raw_mpeg_without_times.m2v", "ok", 20)
def raw_mpeg(path: Path) -> None:
    """An elementary stream: pictures, and no container to say when."""
    with av.open(str(path), "w", format="mpeg2video") as out:
        stream = out.add_stream("mpeg2video", rate=25, options={"bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(25):
            picture = np.full((48, 64, 3), index * 9, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        out.mux(stream.encode())


# --- names -----------------------------------------------------------------------------------------------------------
for odd in (
    "Chợ nổi Cái Răng “sáng sớm”.mp4",
    "a b; rm -rf ~ $(id) 'x'.mp4",
    "-i.mp4",
    "concat:a.mp4|b.mp4",
    "file:etc.mp4",
    "%d.mp4",
):
    case(odd, "ok", 25)(make_video)


def make_all(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for each in CASES:
        each.make(folder / each.name)
        print(f"{each.verdict:20}{each.name}")


if __name__ == "__main__":
    make_all(Path(sys.argv[1]))
