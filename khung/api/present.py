"""Records as the outside sees them: from khung's frozen values to the schemas of the HTTP door. Pure."""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

import msgspec
from pydantic import TypeAdapter

from khung.api import schemas as s
from khung.api.frame_json import frames_json, images_of, media_url
from khung.errors import NotFound
from khung.records import FrameRecord, Video
from khung.stores import tables

if TYPE_CHECKING:
    from khung.api.resident import Gist

_FRAME = TypeAdapter(s.FrameOut)

CONTENT_TYPES = {
    "mp4": "video/mp4",
    "m4v": "video/mp4",
    "mov": "video/mp4",  # the same boxes; browsers refuse video/quicktime and play it as mp4
    "webm": "video/webm",
    "mkv": "video/x-matroska",
    "avi": "video/x-msvideo",
    "mpg": "video/mpeg",
    "mpeg": "video/mpeg",
    "ts": "video/mp2t",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "avif": "image/avif",
}


def content_type(key: str) -> str:
    """By the key's extension, which khung chose itself."""
    return CONTENT_TYPES.get(key.rpartition(".")[2].lower(), "application/octet-stream")


def frame(record: FrameRecord) -> s.FrameOut:
    (text,) = frames_json([tables.to_json(record)])
    return _FRAME.validate_json(msgspec.json.encode(text))


def video(of: Video, gist: "Gist", copied: Collection[str] = ()) -> s.VideoOut:
    """`copied`: the videos of which there is a copy that browsers play."""
    return s.VideoOut(
        id=of.video_id,
        source_name=of.source_name,
        duration_ms=of.duration_ms,
        width=of.width,
        height=of.height,
        fps=of.fps,
        codec=of.codec,
        container=of.container,
        has_audio=of.has_audio,
        playable=of.playable or of.video_id in copied,
        preview=of.preview,
        frame_count=of.frame_count,
        keyframes=gist.keyframes,
        poster=images_of(of.video_id, gist.frame_index, gist.phash).thumb,
        derived_from=of.derived_from,
        warnings=list(of.warnings),
        media=media_url(of.video_id),
        original=f"{media_url(of.video_id)}?original=true",
    )


def neighbours(frames: list[FrameRecord], frame_id: str, span: int) -> s.NeighboursOut:
    """The `span` keyframes on each side of `frame_id` among a video's `frames` (by time). Raises NotFound."""
    at = next((i for i, record in enumerate(frames) if record.frame_id == frame_id), None)
    if at is None:
        raise NotFound(f"There is no frame {frame_id}.").known_as("no_frame", frame=frame_id)
    return s.NeighboursOut(
        before=_frames(frames[max(at - span, 0) : at]),
        frame=frame(frames[at]),
        after=_frames(frames[at + 1 : at + 1 + span]),
    )


def _frames(records: Iterable[FrameRecord]) -> list[s.FrameOut]:
    return [frame(record) for record in records]
