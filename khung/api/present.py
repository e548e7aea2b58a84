"""Records as the outside sees them: from khung's frozen values to the schemas of the HTTP door. Pure."""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

import orjson
from pydantic import TypeAdapter

from khung.api import schemas as s
from khung.errors import NotFound
from khung.records import FrameRecord, Video
from khung.timecode import format_ms

if TYPE_CHECKING:
    from khung.api.resident import Gist

_FRAME = TypeAdapter(s.FrameOut)
_ALL_BITS = 2**64 - 1

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


def image_url(video_id: str, frame_index: int, phash: int, variant: str) -> str:
    """The address of a picture; `v` changes when the frame's picture does, so the bytes may be kept for ever."""
    return f"/v1/images/{video_id}/{frame_index}/{variant}?v={phash & _ALL_BITS:016x}"


def media_url(video_id: str, at_ms: int | None = None) -> str:
    url = f"/v1/videos/{video_id}/media"
    return url if at_ms is None else f"{url}#t={at_ms / 1000:.3f}"


def frame_json(record: FrameRecord) -> bytes:
    """FrameOut of a record, in its order; `pts_ms` stays an integer, `timecode` is for people. Written piece by piece: a search shows
    dozens that nobody has seen yet, and half its time over the engine's would be dictionaries. An id needs no escaping: it is a VIDEO_ID."""
    told, key = record.description, record.keyframe
    video_id, index, pts_ms = key.video_id, key.frame_index, key.pts_ms
    at, version = f"{video_id}/{index}", f"{key.phash & _ALL_BITS:016x}"  # `image_url`, three at once
    start = _START % (at, video_id, index, pts_ms, format_ms(pts_ms), key.shot_index, record.shot_start_ms, record.shot_end_ms)  # fmt: skip
    said = orjson.dumps(
        {
            "captions": dict(told.captions),
            "caption_origin": told.origin,
            "objects": [{"label": one.label, "score": one.score, "box": one.box} for one in told.objects],
            "actions": told.actions,
            "emotions": told.emotions,
            "colors": told.colors,
            "scene_type": told.scene_type,
            "time_of_day": told.time_of_day,
            "weather": told.weather,
            "place": told.place,
            "screen_text": [{"text": one.text, "score": one.score, "box": one.box} for one in record.screen_text],
            "importance": key.importance,
        }
    )
    end = _END % (at, version, at, version, at, version, video_id, *divmod(pts_ms, 1000))
    return start.encode() + said[1:-1] + end.encode()


_START = (
    '{"id":"%s","video_id":"%s","frame_index":%d,"pts_ms":%d,"timecode":"%s",'
    '"shot":{"index":%d,"start_ms":%d,"end_ms":%d},'
)
_END = (
    ',"images":{"thumb":"/v1/images/%s/thumb.webp?v=%s","display":"/v1/images/%s/display.webp?v=%s",'
    '"avif":"/v1/images/%s/display.avif?v=%s"},"media":"/v1/videos/%s/media#t=%d.%03d"}'
)


def frame(record: FrameRecord) -> s.FrameOut:
    """The same as FrameOut."""
    return _FRAME.validate_json(frame_json(record))


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
        poster=image_url(of.video_id, gist.frame_index, gist.phash, "thumb.webp"),
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
