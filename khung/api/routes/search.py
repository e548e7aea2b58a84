"""Searching: `/v1/search` by GET and POST, and the images that people search by."""

from typing import Annotated

import anyio
from fastapi import APIRouter, Depends, Path, Query, UploadFile
from fastapi.responses import Response

from khung.api import present
from khung.api.problems import documented
from khung.api.schemas import IMAGE_ID, QueryImageOut, SearchIn, SearchOut
from khung.api.service import Service, service_of
from khung.errors import MediaError

router = APIRouter(prefix="/v1", tags=["search"])
Asked = Annotated[Service, Depends(service_of)]
MAX_QUESTION = 2**17  # bytes of JSON; a question of all the largest fields fits twice
_ANSWERS = documented(404, 422, 503)


@router.get("/search", response_model=SearchOut, responses=_ANSWERS)
async def search(asked: Annotated[SearchIn, Query()], service: Asked) -> Response:
    """Find moments. `q` understands times (“sau 2 phút”), sequences (“A rồi B”), quotes, `field:` terms; see `parsed`."""
    return await _answer(asked, service)


@router.post(
    "/search", response_model=SearchOut, max_body_size=MAX_QUESTION, responses=documented(400, 404, 413, 422, 503)
)
async def search_by_body(asked: SearchIn, service: Asked) -> Response:
    """The same question as a JSON body."""
    return await _answer(asked, service)


async def _answer(asked: SearchIn, service: Service) -> Response:
    result = present.search(await service.search(asked))
    return Response(result.model_dump_json(), media_type="application/json", headers={"Cache-Control": "no-store"})


@router.post("/query-images", status_code=201, responses=documented(400, 413, 422))
async def keep_query_image(image: UploadFile, service: Asked) -> QueryImageOut:
    """Send an image (JPEG, PNG or WebP) and search with the id that comes back: `/v1/search?image=…`."""
    limit = service.settings.serve.max_image_bytes
    data = await image.read(limit + 1)
    if len(data) > limit:
        raise MediaError("too_large", f"The image is larger than {limit // 2**20} MiB.", cure="Send a smaller one.")
    name, width, height = await anyio.to_thread.run_sync(service.images.put, data)
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
