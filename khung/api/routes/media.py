"""Pictures and videos from the archive, with validators and ranges."""

import hashlib
from typing import Annotated

import anyio
from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response

from khung.api.media import FOREVER, REVALIDATE, Served, etag_matches, send
from khung.api.present import content_type
from khung.api.problems import documented
from khung.api.schemas import VIDEO_ID
from khung.api.service import Service, service_of
from khung.stores.library import IMAGE_TYPES, image_key, playable_key, sheet_key

router = APIRouter(prefix="/v1", tags=["media"])
Asked = Annotated[Service, Depends(service_of)]
InPath = Annotated[str, Path(pattern=VIDEO_ID)]
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_NOT_MODIFIED = {304: {"description": "Not Modified"}}
_PICTURE = {200: {"content": {kind: _BINARY for kind in sorted(set(IMAGE_TYPES.values()))}}} | _NOT_MODIFIED
_VIDEO = {
    200: {"description": "The whole file", "content": {"video/*": _BINARY}},
    206: {"description": "Partial Content", "content": {"video/*": _BINARY}},
    416: {"description": "Range Not Satisfiable"},
} | _NOT_MODIFIED


@router.get(
    "/images/{video_id}/{frame_index}/{variant}", responses=_PICTURE | documented(404, 422), response_class=Response
)
@router.head("/images/{video_id}/{frame_index}/{variant}", include_in_schema=False)
async def picture(
    request: Request,
    service: Asked,
    video_id: InPath,
    frame_index: Annotated[int, Path(ge=0, le=2**31 - 1)],
    variant: Annotated[str, Path(max_length=40, examples=["thumb.webp"])],
    v: Annotated[
        str, Query(max_length=64, description="the picture's version; with it the answer may be kept for ever")
    ] = "",
) -> Response:
    """A keyframe's picture: `thumb.webp`, `display.webp`, `display.avif` or `master.jpg`."""
    return await _small(request, service, image_key(video_id, frame_index, variant), FOREVER if v else REVALIDATE)


@router.get("/videos/{video_id}/sheet", responses=_PICTURE | documented(404, 422), response_class=Response)
@router.head("/videos/{video_id}/sheet", include_in_schema=False)
async def sheet(request: Request, service: Asked, video_id: InPath) -> Response:
    """The video's contact sheet."""
    return await _small(request, service, sheet_key(video_id), REVALIDATE)


@router.get("/videos/{video_id}/media", responses=_VIDEO | documented(404, 422), response_class=Response)
@router.head("/videos/{video_id}/media", include_in_schema=False)
async def media(
    request: Request,
    service: Asked,
    video_id: InPath,
    original: Annotated[
        bool, Query(description="the file as it was ingested, whether browsers play it or not")
    ] = False,
) -> Response:
    """The video for a player: the file as it was ingested, or its copy where browsers do not play that; single byte ranges are
    answered."""
    served = await anyio.to_thread.run_sync(lambda: _served(service, video_id, original), limiter=service.reads)
    return await send(request, service.library.archive, served, service.reads)


def _served(service: Service, video_id: str, original: bool) -> Served:
    video = service.library.video(video_id)
    copy = None if original or video.playable else service.ledger.get(video_id).get("playable_copies")
    if copy and copy.state == "done":
        return Served(playable_key(video_id), "video/mp4", copy.fingerprint, REVALIDATE)
    playable = "video/webm" if video.media_key.endswith(".webm") else "video/mp4"  # whatever the file's name ends with
    kind = playable if video.playable else content_type(video.media_key)
    return Served(video.media_key, kind, video.sha256, REVALIDATE)


async def _small(request: Request, service: Service, key: str, cache: str) -> Response:
    """A picture is small enough to be read whole; its tag is a hash of its bytes."""
    data = await anyio.to_thread.run_sync(lambda: service.library.archive.get_bytes(key), limiter=service.reads)
    etag = f'"{hashlib.blake2b(data, digest_size=16).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": cache}
    if etag_matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    return Response(data, headers=headers, media_type=content_type(key))
