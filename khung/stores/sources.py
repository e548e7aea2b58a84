"""Where a registered video's bytes came from: read once when they are copied into the archive, kept for people after that."""

import json
from dataclasses import asdict, dataclass

from khung.errors import CorruptError
from khung.records import check_video_id
from khung.stores import Archive


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file as it was when its content was claimed."""

    path: str  # absolute; may hold the lone surrogates of a name that is no UTF-8, hence JSON with escapes
    name: str  # cleaned, for people
    sha256: str


def put_source(archive: Archive, video_id: str, source: SourceFile) -> None:
    archive.put_bytes(_key(video_id), json.dumps(asdict(source)).encode("ascii"), content_type="application/json")


def get_source(archive: Archive, video_id: str) -> SourceFile:
    """Raises NotFound, CorruptError."""
    try:
        return SourceFile(**json.loads(archive.get_bytes(_key(video_id))))
    except (ValueError, TypeError) as error:
        raise CorruptError(f"{_key(video_id)} cannot be read: {error}.", cure="Bring the file again.") from error


def _key(video_id: str) -> str:
    return f"videos/{check_video_id(video_id)}/source.json"
