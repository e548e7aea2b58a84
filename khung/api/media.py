"""Bytes of the Archive over HTTP: validators, ranges, HEAD. Nothing here knows what a video or a keyframe is."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import anyio
from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from khung.api.ranges import Unsatisfiable, parse_range
from khung.errors import NotFound
from khung.stores import Archive

CHUNK = 256 * 1024
FOREVER = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"


@dataclass(frozen=True, slots=True)
class Served:
    """One archive key as a client may see it. `etag` is without quotes; it names the bytes."""

    key: str
    content_type: str
    etag: str
    cache: str


async def send(request: Request, archive: Archive, served: Served, reads: anyio.CapacityLimiter) -> Response:
    """The answer to GET or HEAD: 200, 206, 304 or 416. `reads` bounds the threads that wait for the archive. Raises NotFound."""
    size = await anyio.to_thread.run_sync(archive.size, served.key, limiter=reads)
    if size is None:
        gone = NotFound("These bytes are not in the archive.", cure="The video may have been retired.")
        raise gone.known_as("media_gone")
    etag = f'"{served.etag}"'
    headers = {"ETag": etag, "Cache-Control": served.cache, "Accept-Ranges": "bytes"}
    if etag_matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    try:
        wanted = parse_range(request.headers.get("range"), size) if _range_counts(request, etag) else None
    except Unsatisfiable:
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{size}"})
    start, stop = wanted or (0, size)
    headers["Content-Length"] = str(stop - start)
    if wanted:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    status = 206 if wanted else 200
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=served.content_type)
    body = _chunks(archive, served.key, start, stop, reads)
    return StreamingResponse(body, status, headers, media_type=served.content_type)


def etag_matches(header: str | None, etag: str) -> bool:
    """If-None-Match: `*` or any listed tag, weakly compared (RFC 9110 §13.1.2)."""
    tags = [tag.strip().removeprefix("W/") for tag in (header or "").split(",")]
    return "*" in tags or etag in tags


def _range_counts(request: Request, etag: str) -> bool:
    """A range is meant only for the bytes that the client knows (If-Range)."""
    known = request.headers.get("if-range")
    return known is None or known == etag


async def _chunks(
    archive: Archive, key: str, start: int, stop: int, reads: anyio.CapacityLimiter
) -> AsyncIterator[bytes]:
    stream = await anyio.to_thread.run_sync(lambda: archive.open(key, offset=start), limiter=reads)
    try:
        left = stop - start
        while left > 0 and (data := await anyio.to_thread.run_sync(stream.read, min(CHUNK, left), limiter=reads)):
            left -= len(data)
            yield data
    finally:
        stream.close()
