"""A keyframe's pictures: the JPEG master that models see, and what people see: WebP, a thumbnail, AVIF.

Masters are never re-encoded: display forms are lossy once more and would make embeddings drift. Encoders release the GIL, so
several frames are rendered in threads. Speeds by measurement (bench/VIDEO.md): WebP method 2 is 2.3 times as fast as 4 for 3 to 5 %
more bytes and 0.3 dB; AVIF speed 9 is twice as fast as 8 at the same quality, 20 % smaller than WebP.
"""

import io
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

VARIANTS = ("master.jpg", "display.webp", "thumb.webp", "display.avif")
THUMB = (320, 240)  # the box that a thumbnail fits in, keeping its shape
_DISPLAY_WEBP = {"format": "WEBP", "quality": 85, "method": 2}
_THUMB_WEBP = {"format": "WEBP", "quality": 80, "method": 2}
_DISPLAY_AVIF = {"format": "AVIF", "quality": 65, "speed": 9, "max_threads": 1}


def render(master_jpeg: bytes) -> dict[str, bytes]:
    """The variants by name, the master itself among them, untouched."""
    from PIL import Image

    with Image.open(io.BytesIO(master_jpeg), formats=["JPEG"]) as opened:
        picture = opened.convert("RGB")
    return {
        "master.jpg": master_jpeg,
        "display.webp": _encode(picture, _DISPLAY_WEBP),
        "thumb.webp": _encode(thumbnail(picture), _THUMB_WEBP),
        "display.avif": _encode(picture, _DISPLAY_AVIF),
    }


def render_many(masters: Iterable[bytes], workers: int) -> Iterator[dict[str, bytes]]:
    """`render` of each, in the order given, in so many threads."""
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(render, masters)


def thumbnail(picture: "Image") -> "Image":
    """The picture within `THUMB`, its shape kept; a smaller one stays as it is."""
    small = picture.copy()
    small.thumbnail(THUMB, reducing_gap=2.0)
    return small


def _encode(picture: "Image", options: dict) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, **options)
    return buffer.getvalue()
