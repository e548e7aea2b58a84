"""A video id from a file's name. Names come from strangers; ids are partition keys and folder names."""

import hashlib
import re
import unicodedata

from khung.text.forms import clean, strip_marks

_EXTENSION = re.compile(r"\.(?=\w*[A-Za-z])\w{1,5}$")
_OTHER = re.compile(r"[^A-Za-z0-9_-]+")
MAX_ID = 120


def video_id_of(name: str) -> str:
    """An id that matches `^[A-Za-z0-9_-]{1,120}$` and reads like the name: `Phố cổ (2).mp4` → `Pho_co_2`.

    Folders, the extension and marks are dropped, the case stays. A name without a letter or digit left becomes
    `video-` and a hash; a long one is cut and closed with a hash. Two names may give one id: the ledger tells them apart.
    """
    last = re.split(r"[/\\]", clean(name))[-1].strip()
    stem = unicodedata.normalize("NFKC", _EXTENSION.sub("", last))
    slug = _OTHER.sub("_", strip_marks(stem)).strip("_-")
    if not slug:
        return f"video-{_digest(name)}"
    return slug if len(slug) <= MAX_ID else f"{slug[: MAX_ID - 9]}-{_digest(name)}"


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
