"""Images that people search by: checked, made small, kept under an id of their content for the addresses that name them.

They lie in one folder with a bounded number of files, so several processes and a restart share them. They are never
added to the library.
"""

import hashlib
import io
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from khung.errors import MediaError, NotFound
from khung.settings import ServeSettings
from khung.stores.durable import replace_file

if TYPE_CHECKING:
    from PIL.Image import Image

KEPT = 500  # images; the oldest go first
LONG_SIDE = 768  # pixels; no encoder of khung takes more
FORMATS = ("JPEG", "PNG", "WEBP")


class QueryImages:
    """The images in `folder`."""

    def __init__(self, folder: Path, settings: ServeSettings) -> None:
        self._folder = folder
        self._settings = settings

    def put(self, data: bytes) -> tuple[str, int, int]:
        """`(id, width, height)` of the kept image. Raises MediaError for what is not a picture of a decent size."""
        image = decoded(data, self._settings.max_image_pixels)
        image.thumbnail((LONG_SIDE, LONG_SIDE))
        out = io.BytesIO()
        image.save(out, "JPEG", quality=92)
        name = hashlib.sha256(out.getvalue()).hexdigest()[:32]
        self._folder.mkdir(parents=True, exist_ok=True)
        replace_file(self._path(name), out.getvalue())
        self._forget_oldest()
        return name, image.width, image.height

    def jpeg(self, image_id: str) -> bytes:
        """Raises NotFound."""
        try:
            data = self._path(image_id).read_bytes()
        except FileNotFoundError as error:
            gone = NotFound("That query image is no longer kept.", cure="Send the image again.")
            raise gone.known_as("query_image_gone") from error
        os.utime(self._path(image_id))
        return data

    def pixels(self, image_id: str) -> np.ndarray:
        """RGB uint8 `(height, width, 3)`. Raises NotFound."""
        from PIL import Image

        with Image.open(io.BytesIO(self.jpeg(image_id)), formats=FORMATS) as image:
            return np.asarray(image.convert("RGB"))

    def _path(self, image_id: str) -> Path:
        return self._folder / f"{image_id}.jpg"

    def _forget_oldest(self) -> None:
        kept = sorted(self._folder.glob("*.jpg"), key=lambda path: path.stat().st_mtime)
        for path in kept[:-KEPT]:
            path.unlink(missing_ok=True)


def decoded(data: bytes, max_pixels: int) -> "Image":
    """Upright, RGB, at least LONG_SIDE on its long side where it was that large. The header's size is judged before a pixel is decoded.
    Raises MediaError for what is no picture, or one of more than `max_pixels`."""
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        if image.width * image.height > max_pixels:
            raise _too_large()
        image.draft("RGB", (LONG_SIDE, LONG_SIDE))
        return _upright(image).convert("RGB")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:  # a warning where those are errors
        raise _too_large() from error
    except (OSError, SyntaxError, ValueError) as error:
        cure = "Send a JPEG, PNG or WebP file."
        raise MediaError("not_an_image", "This is not an image that khung reads.", cure=cure) from error


def _upright(image: "Image") -> "Image":
    """Turned as the camera's mark says (EXIF 2.3, tag 274). Pillow's own `exif_transpose` writes all marks again, and breaks off at those
    that it can only read."""
    from PIL import ExifTags, Image

    try:
        mark = image.getexif().get(ExifTags.Base.Orientation)
    except (SyntaxError, ValueError, struct.error):  # broken marks: the picture stands as it lies
        return image
    how = Image.Transpose
    turns = {
        2: how.FLIP_LEFT_RIGHT,
        3: how.ROTATE_180,
        4: how.FLIP_TOP_BOTTOM,
        5: how.TRANSPOSE,
        6: how.ROTATE_270,
        7: how.TRANSVERSE,
        8: how.ROTATE_90,
    }
    return image.transpose(turns[mark]) if mark in turns else image


def _too_large() -> MediaError:
    return MediaError("too_many_pixels", "The image is too large.", cure="Send a smaller one.")
