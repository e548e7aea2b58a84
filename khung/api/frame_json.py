"""A keyframe as the outside sees it (FrameOut), made of its sealed JSON: what is only handed on is not read.

Captions, objects, words and on-screen text stand in a record's JSON as FrameOut shows them, so they pass as bytes; read are the few
numbers that addresses and times are made of. A search shows dozens of frames that nobody has seen yet: to read each record whole and
write it again took a seventh of its time. What the records hold is khung.records, what FrameOut promises khung.api.schemas.found.
"""

from collections.abc import Iterable

from msgspec import Raw, Struct

from khung.stores import tables
from khung.timecode import format_ms

_ALL_BITS = 2**64 - 1


class Images(Struct, gc=False):
    """The addresses of a frame's pictures."""

    thumb: str
    display: str
    avif: str


def images_of(video_id: str, frame_index: int, phash: int) -> Images:
    """`v` changes when the frame's picture does, so the bytes may be kept for ever."""
    at, version = f"/v1/images/{video_id}/{frame_index}/", f"?v={phash & _ALL_BITS:016x}"
    return Images(f"{at}thumb.webp{version}", f"{at}display.webp{version}", f"{at}display.avif{version}")


def media_url(video_id: str, at_ms: int | None = None) -> str:
    url = f"/v1/videos/{video_id}/media"
    return url if at_ms is None else f"{url}#t={at_ms // 1000}.{at_ms % 1000:03}"


# -- of a FrameRecord, what FrameOut is made of; the rest is passed over


class _Keyframe(Struct, gc=False):
    video_id: str
    frame_index: int
    pts_ms: int
    shot_index: int
    importance: Raw
    phash: int


class _Description(Struct, gc=False):
    captions: Raw
    origin: Raw
    objects: Raw
    actions: Raw
    emotions: Raw
    colors: Raw
    scene_type: Raw
    time_of_day: Raw
    weather: Raw
    place: Raw


class FrameSource(Struct, gc=False):
    keyframe: _Keyframe
    shot_start_ms: int
    shot_end_ms: int
    description: _Description
    screen_text: Raw


# -- FrameOut, in its order. Some names are Description's, too, but a Struct's fields begin with its base's: neither can be made of the other


class _Shot(Struct, gc=False):
    index: int
    start_ms: int
    end_ms: int


class FrameJson(Struct, gc=False):
    """For msgspec's encoder, alone or in something larger."""

    id: str
    video_id: str
    frame_index: int
    pts_ms: int  # an integer; `timecode` is for people
    timecode: str
    shot: _Shot
    captions: Raw
    caption_origin: Raw
    objects: Raw
    actions: Raw
    emotions: Raw
    colors: Raw
    scene_type: Raw
    time_of_day: Raw
    weather: Raw
    place: Raw
    screen_text: Raw
    importance: Raw
    images: Images
    media: str


_read = tables.json_reader(FrameSource)


def frames_json(records: Iterable[bytes]) -> list[FrameJson]:
    """By record, given as its JSON. Raises CorruptError."""
    return [_shown(record) for record in _read(records)]


def _shown(record: FrameSource) -> FrameJson:
    key, told = record.keyframe, record.description
    video_id, index, pts_ms = key.video_id, key.frame_index, key.pts_ms
    return FrameJson(
        f"{video_id}/{index}",
        video_id,
        index,
        pts_ms,
        format_ms(pts_ms),
        _Shot(key.shot_index, record.shot_start_ms, record.shot_end_ms),
        told.captions,
        told.origin,
        told.objects,
        told.actions,
        told.emotions,
        told.colors,
        told.scene_type,
        told.time_of_day,
        told.weather,
        told.place,
        record.screen_text,
        key.importance,
        images_of(video_id, index, key.phash),
        media_url(video_id, pts_ms),
    )
