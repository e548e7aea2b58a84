"""Searching: `/v1/search` by GET, POST and as a stream, its short forms, and the images that people search by."""

from collections.abc import AsyncIterator
from typing import Annotated

import anyio
from fastapi import APIRouter, Depends, Path, Query, Request, UploadFile
from fastapi.responses import Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from khung.api.access import owner_of
from khung.api.asking import answered
from khung.api.problems import documented
from khung.api.schemas import (
    IMAGE_ID,
    MAX_LIMIT,
    MAX_QUERY,
    VIDEO_ID,
    FacetsOut,
    FeedbackIn,
    QueryImageOut,
    SearchIn,
    SearchOut,
    SuggestOut,
    WhereIn,
    clean,
)
from khung.api.service import Service, service_of, where
from khung.api.stream import Stream
from khung.errors import MediaError, QueryError
from khung.records import frame_id
from khung.search.query import parse

router = APIRouter(prefix="/v1", tags=["search"])
Asked = Annotated[Service, Depends(service_of)]
MAX_QUESTION = 2**17  # bytes of JSON; a question of all the largest fields fits twice
_NOT_MODIFIED = {304: {"description": "Not Modified"}}
_ANSWERS = documented(400, 404, 410, 422, 503)
_BY_BODY = documented(400, 404, 410, 413, 422, 503)


@router.get("/search", response_model=SearchOut, responses=_ANSWERS | _NOT_MODIFIED)
async def search(request: Request, asked: Annotated[SearchIn, Query()], service: Asked) -> Response:
    """Find moments. `q` understands times (“sau 2 phút”), sequences (“A rồi B”), quotes, `field:` terms; see `parsed`."""
    return await answered(request, asked, service)


@router.post("/search", response_model=SearchOut, max_body_size=MAX_QUESTION, responses=_BY_BODY | _NOT_MODIFIED)
async def search_by_body(request: Request, asked: SearchIn, service: Asked) -> Response:
    """The same question as a JSON body."""
    return await answered(request, asked, service)


async def _begun(request: Request, asked: Annotated[SearchIn, Query()], service: Asked) -> Stream:
    """The stream once the question is understood: what fails before is a plain problem."""
    return await Stream.begin(service, asked, owner_of(request))


@router.get("/search/stream", response_class=EventSourceResponse, responses=_ANSWERS)
async def stream(begun: Annotated[Stream, Depends(_begun)]) -> AsyncIterator[ServerSentEvent]:
    """The answer as it comes, as server-sent events: `parsed` (how the question was understood), `partial` (a page from the
    `channels` that have answered, maybe several times or never), `final` (what `/v1/search` answers), or `problem`."""
    async for event in begun.events():
        yield event


@router.get("/frames/{video_id}/{frame_index}/similar", response_model=SearchOut, responses=_ANSWERS | _NOT_MODIFIED)
async def similar(
    request: Request,
    video_id: Annotated[str, Path(pattern=VIDEO_ID)],
    frame_index: Annotated[int, Path(ge=0, le=999_999_999)],
    service: Asked,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
) -> Response:
    """Frames that look like this one: `/v1/search?like=…` in short."""
    return await answered(request, SearchIn(like=frame_id(video_id, frame_index), limit=limit), service)


@router.post("/feedback", response_model=SearchOut, max_body_size=MAX_QUESTION, responses=_BY_BODY | _NOT_MODIFIED)
async def feedback(request: Request, asked: FeedbackIn, service: Asked) -> Response:
    """The question moved towards the frames that were right (`more`) and away from those that were wrong (`less`)."""
    return await answered(request, asked, service)


@router.get("/suggest", responses=documented(422, 503))
async def suggest(
    q: Annotated[str, Query(min_length=1, max_length=MAX_QUERY, examples=["nguoi trong van phong"])], service: Asked
) -> SuggestOut:
    """Before asking: the words with the marks that they most likely lack, and narrower readings of what is ambiguous."""

    def suggestions() -> SuggestOut:
        try:
            parsed = parse(clean(q))
        except QueryError:  # half a question is no mistake yet
            return SuggestOut(did_you_mean="", alternatives=[])
        with service.serving.borrow() as here:
            likely = here.engine.did_you_mean(parsed.text)
        return SuggestOut(did_you_mean=likely, alternatives=[one.text for one in parsed.alternatives])

    return await anyio.to_thread.run_sync(suggestions)


@router.get("/facets", responses=documented(422, 503))
def facets(asked: Annotated[WhereIn, Query()], service: Asked) -> FacetsOut:
    """How many frames have each value of each facet: of the whole library, or of what a filter leaves."""
    wanted = where(asked)
    with service.serving.borrow() as here:
        records = here.snapshot.records
        ids = records.allowed(wanted) if wanted else None
        return FacetsOut(
            facets=records.facet_counts(ids),
            frames=len(records) if ids is None else len(ids),
            snapshot=here.snapshot.id,
        )


@router.post("/query-images", status_code=201, responses=documented(400, 413, 422))
async def keep_query_image(image: UploadFile, service: Asked) -> QueryImageOut:
    """Send an image (JPEG, PNG or WebP) and search with the id that comes back: `/v1/search?image=…`."""
    limit = service.settings.serve.max_image_bytes
    data = await image.read(limit + 1)
    if len(data) > limit:
        raise MediaError("too_large", f"The image is larger than {limit // 2**20} MiB.", cure="Send a smaller one.")
    name, width, height = await anyio.to_thread.run_sync(service.images.put, data, limiter=service.pictures)
    return QueryImageOut(image=name, width=width, height=height)


@router.get(
    "/query-images/{image_id}",
    responses={200: {"content": {"image/jpeg": {}}}} | documented(404, 422),
    response_class=Response,
)
def query_image(image_id: Annotated[str, Path(pattern=IMAGE_ID)], service: Asked) -> Response:
    """A query image as it is kept."""
    headers = {"Cache-Control": "private, max-age=3600"}
    return Response(service.images.jpeg(image_id), media_type="image/jpeg", headers=headers)
