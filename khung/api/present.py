"""Records as the outside sees them: from khung's frozen values to the schemas of the HTTP door. Pure."""

from collections.abc import Collection, Iterable

import orjson
from pydantic import TypeAdapter

from khung.api import schemas as s
from khung.api.resident import Gist
from khung.errors import NotFound
from khung.records import ChannelScore, FrameRecord, Hit, Keyframe, Region, TextLine, Video
from khung.search.engine import SearchResult
from khung.search.parsed import ParsedQuery
from khung.timecode import format_ms

_PARSED = TypeAdapter(ParsedQuery)

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
    return f"/v1/images/{video_id}/{frame_index}/{variant}?v={phash & (2**64 - 1):016x}"


def _images(key: Keyframe) -> s.ImagesOut:
    """`image_url` of the three pictures at once."""
    at, version = f"/v1/images/{key.video_id}/{key.frame_index}/", f"?v={key.phash & (2**64 - 1):016x}"
    return s.ImagesOut(f"{at}thumb.webp{version}", f"{at}display.webp{version}", f"{at}display.avif{version}")


def media_url(video_id: str, at_ms: int | None = None) -> str:
    url = f"/v1/videos/{video_id}/media"
    return url if at_ms is None else f"{url}#t={at_ms / 1000:.3f}"


def frame(record: FrameRecord) -> s.FrameOut:
    """A record as FrameOut; `pts_ms` stays an integer, `timecode` is for people."""
    told, key = record.description, record.keyframe
    return s.FrameOut(
        id=key.frame_id,
        video_id=key.video_id,
        frame_index=key.frame_index,
        pts_ms=key.pts_ms,
        timecode=format_ms(key.pts_ms),
        shot=s.ShotOut(index=key.shot_index, start_ms=record.shot_start_ms, end_ms=record.shot_end_ms),
        captions=dict(told.captions),
        caption_origin=told.origin,
        objects=[_region(found) for found in told.objects],
        actions=list(told.actions),
        emotions=list(told.emotions),
        colors=list(told.colors),
        scene_type=told.scene_type,
        time_of_day=told.time_of_day,
        weather=told.weather,
        place=told.place,
        screen_text=[_line(line) for line in record.screen_text],
        importance=key.importance,
        images=_images(key),
        media=media_url(key.video_id, key.pts_ms),
    )


def hit(found: Hit) -> s.HitOut:
    return s.HitOut(
        frame=frame(found.record),
        score=found.score,
        channels={name: _channel(score) for name, score in found.channels.items()},
        more_in_video=found.more_in_video,
        chain=[hit(step) for step in found.chain],
    )


def search(result: SearchResult, next_cursor: str = "") -> s.SearchOut:
    return s.SearchOut(
        hits=[hit(found) for found in result.hits],
        total=result.total,
        facets={name: dict(values) for name, values in result.facets.items()},
        parsed=parsed(result.parsed),
        degraded=[s.DegradedOut(channel=one.channel, reason=one.reason) for one in result.degraded],
        snapshot=result.snapshot_id,
        took_ms=result.took_ms,
        did_you_mean=result.did_you_mean,
        next=next_cursor,
    )


def parsed(question: ParsedQuery) -> dict[str, object]:
    return _PARSED.dump_python(question, mode="json")


def encoded(answer: s.SearchOut) -> bytes:
    """As JSON, in UTF-8. Lone surrogates, which no JSON reader takes, never come this far: text is cleaned at the door."""
    return orjson.dumps(answer)


def video(of: Video, gist: Gist, copied: Collection[str] = ()) -> s.VideoOut:
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


def _region(region: Region) -> s.RegionOut:
    return s.RegionOut(label=region.label, score=region.score, box=region.box)


def _line(line: TextLine) -> s.TextLineOut:
    return s.TextLineOut(text=line.text, score=line.score, box=line.box)


def _channel(score: ChannelScore) -> s.ChannelOut:
    return s.ChannelOut(raw=score.raw, normalised=score.normalised, share=score.share, why=score.why)
