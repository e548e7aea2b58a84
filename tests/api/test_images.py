"""Images that people search by: pictures in, small JPEGs kept, everything else refused before it costs anything."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from khung.api.images import KEPT, LONG_SIDE, QueryImages, decoded
from khung.errors import MediaError, NotFound
from khung.settings import ServeSettings


@pytest.fixture
def images(tmp_path):
    return QueryImages(tmp_path / "query-images", ServeSettings())


def encoded(form="PNG", size=(64, 48), color=(200, 30, 30)):
    out = io.BytesIO()
    Image.new("RGB", size, color).save(out, form)
    return out.getvalue()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_picture_is_kept_and_read(images, form):
    name, width, height = images.put(encoded(form))
    pixels = images.pixels(name)
    assert pixels.shape == (height, width, 3) == (48, 64, 3)
    assert np.abs(pixels.mean((0, 1)) - (200, 30, 30)).max() < 8


def test_large_pictures_become_small(images):
    _, width, height = images.put(encoded(size=(3000, 1000)))
    assert (width, height) == (LONG_SIDE, LONG_SIDE // 3)


@pytest.mark.parametrize("mark", range(10))
def test_the_camera_s_rotation_is_followed(mark):
    out, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = mark
    pixels = np.random.default_rng(0).integers(0, 255, (5, 9, 3), np.uint8)
    Image.fromarray(pixels).resize((90, 50), Image.Resampling.NEAREST).save(out, "JPEG", exif=exif, quality=95)
    turned = ImageOps.exif_transpose(Image.open(io.BytesIO(out.getvalue())))
    np.testing.assert_array_equal(np.asarray(decoded(out.getvalue(), 10_000)), np.asarray(turned))


@pytest.mark.parametrize(
    "entry", [struct.pack("<HHI4s", 0x0112, 3, 1, b"\6\0\0\0"), struct.pack("<HHI4s", 0x0112, 2, 4, b"six\0")]
)
def test_marks_of_a_camera_that_cannot_be_written_again_spoil_no_picture(images, entry, monkeypatch):
    broken = struct.pack("<HHII", 0x0132, 10, 1, 26)  # a signed fraction at an offset that holds none
    marks = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 2) + entry + broken + b"\0\0\0\0"
    out = io.BytesIO()
    Image.new("RGB", (80, 40)).save(out, "JPEG", exif=marks)
    assert sorted(images.put(out.getvalue())[1:]) == [40, 80]


@pytest.mark.parametrize(
    ("kind", "inline"), [(3, True), (4, True), (5, False), (10, False), (12, False), (2, True), (7, True)]
)
def test_a_mark_of_whatever_type_is_no_error(images, kind, inline):
    """As a fraction six is six; what is no number turns nothing."""
    value = b"\6\0\0\0" if inline else struct.pack("<I", 26)
    marks = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HHHI", 1, 0x0112, kind, 1) + value + bytes(4)
    out = io.BytesIO()
    Image.new("RGB", (80, 40)).save(out, "JPEG", exif=marks + struct.pack("<II", 6, 1))
    assert images.put(out.getvalue())[1:] == ((40, 80) if kind in (3, 4, 5, 10) else (80, 40))


@pytest.mark.parametrize(
    "chunk",
    [
        (b"eXIf", b"no TIFF at all"),
        (b"eXIf", b"II*\0\xff"),
        (b"tEXt", b"Raw profile type exif\0\nexif\n       4\nzzzz\n"),
    ],
    ids=["another header", "cut off", "no hexadecimal"],
)
def test_marks_of_a_png_that_are_broken_turn_nothing(images, chunk):
    kind, data = chunk
    whole = encoded(size=(80, 40))
    broken = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    assert images.put(whole[:33] + broken + whole[33:])[1:] == (80, 40)  # behind the header's chunk


def test_a_lack_of_memory_is_no_broken_mark(images, monkeypatch):
    monkeypatch.setattr(Image.Image, "getexif", lambda _: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(MemoryError):
        images.put(encoded())


def header_bomb(side=60_000):
    """A PNG of `side` × `side` pixels in a hundred bytes."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>", encoded()[:60], encoded("GIF")]
)
def test_what_is_no_decent_picture_is_refused(images, data):
    with pytest.raises(MediaError, match="not an image"):
        images.put(data)


@pytest.mark.parametrize("side", [8_000, 10_000, 60_000])  # over our limit; where Pillow warns; where Pillow refuses
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(images, side):
    with pytest.raises(MediaError, match="too large"):
        images.put(header_bomb(side))


def test_only_so_many_are_kept(images, tmp_path):
    folder = tmp_path / "query-images"
    folder.mkdir()
    for number in range(KEPT + 5):
        (folder / f"{number:032x}.jpg").touch()
    name, _, _ = images.put(encoded())
    assert len(list(folder.iterdir())) == KEPT
    assert images.jpeg(name)


def test_a_forgotten_image(images):
    with pytest.raises(NotFound):
        images.jpeg("0" * 32)
