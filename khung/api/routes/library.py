"""What is there: frames, their neighbours, videos; and the state of every file on its way in."""

from typing import Annotated, Literal

import anyio
from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.requests import ClientDisconnect

from khung.api import present
from khung.api.library import STATES, copied, section
from khung.api.problems import documented
from khung.api.schemas import (
    VIDEO_ID,
    FrameOut,
    LibraryOut,
    NeighboursOut,
    UploadOut,
    UploadStatusOut,
    VideoDetailOut,
    VideosOut,
)
from khung.api.service import Service, service_of
from khung.api.uploads import uploaded, waiting
from khung.errors import MediaError
from khung.records import frame_id

router = APIRouter(prefix="/v1", tags=["library"])
Asked = Annotated[Service, Depends(service_of)]
InPath = Annotated[str, Path(pattern=VIDEO_ID)]
Index = Annotated[int, Path(ge=0, le=2**31 - 1)]
_ANSWERS = documented(404, 422, 503)


@router.get("/frames/{video_id}/{frame_index}", responses=_ANSWERS)
def frame(video_id: InPath, frame_index: Index, service: Asked) -> FrameOut:
    """A keyframe and all that is known of it; its id is `{video_id}/{frame_index}`."""
    with service.serving.borrow() as here:
        return present.frame(here.snapshot.records.frame(frame_id(video_id, frame_index)))


@router.get("/frames/{video_id}/{frame_index}/neighbours", responses=_ANSWERS)
def neighbours(
    video_id: InPath, frame_index: Index, service: Asked, span: Annotated[int, Query(ge=1, le=50)] = 5
) -> NeighboursOut:
    """The keyframes before and after one, across shots."""
    with service.serving.borrow() as here:
        frames = here.snapshot.records.frames_of(video_id)
        return present.neighbours(frames, frame_id(video_id, frame_index), span)


@router.get("/videos", responses=_ANSWERS)
def videos(
    service: Asked, limit: Annotated[int, Query(ge=1, le=1000)] = 100, offset: Annotated[int, Query(ge=0, le=10**6)] = 0
) -> VideosOut:
    """The searchable videos, by id."""
    with service.serving.borrow() as here:
        every = here.snapshot.records.videos()
        asked = every[offset : offset + limit]
        plays = copied(service, asked)
        page = [present.video(one, here.gist(one.video_id), plays) for one in asked]
        return VideosOut(videos=page, total=len(every), snapshot=here.snapshot.id)


@router.get("/videos/{video_id}", responses=_ANSWERS)
def video(
    video_id: InPath,
    service: Asked,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    offset: Annotated[int, Query(ge=0, le=10**6)] = 0,
) -> VideoDetailOut:
    """A video and its keyframes, by time."""
    with service.serving.borrow() as here:
        of = here.snapshot.records.video(video_id)
        frames = here.snapshot.records.frames_of(video_id)
        return VideoDetailOut(
            video=present.video(of, here.gist(video_id), copied(service, [of])),
            frames=[present.frame(record) for record in frames[offset : offset + limit]],
            total_frames=len(frames),
            snapshot=here.snapshot.id,
        )


@router.get("/library", responses=documented(422, 503))
def library(
    service: Asked,
    state: Annotated[Literal["", *STATES], Query(description="of this state; empty: of any")] = "",
    name: Annotated[str, Query(max_length=200, description="words of the id or the file's name, marks or not")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=10**6)] = 0,
) -> LibraryOut:
    """The files that were given to khung, by id: where each stands, and why it failed if it did."""
    shown = section(service, state, name, offset, limit)
    return LibraryOut(videos=shown.videos, total=shown.total, counts=shown.counts, inbox=waiting(service))


@router.post(
    "/uploads",
    status_code=201,
    responses=documented(413, 422, 503),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def upload(
    request: Request, service: Asked, name: Annotated[str, Query(min_length=1, max_length=300, examples=["Phố cổ.mp4"])]
) -> UploadOut:
    """Put a video into the inbox: the body is the file. Its way from there is told by `/v1/uploads/{name}`."""
    await anyio.to_thread.run_sync(service.ready_for_uploads)
    try:
        return UploadOut(name=await service.inbox.receive(name, request.stream()))
    except ClientDisconnect as error:
        raise MediaError("broken_off", "The upload broke off.", cure="Send the file again.") from error


@router.get("/uploads/{name}", responses=documented(404, 422, 503))
def upload_status(name: Annotated[str, Path(min_length=1, max_length=300)], service: Asked) -> UploadStatusOut:
    """Where an uploaded file stands, by the name that the upload was answered with."""
    return uploaded(service, name)
