"""The contest's door for browsers: log in, the running task, check an answer, the team's list, send; and the AI Challenge's files.

A browser holds khung's own token in a cookie that no script reads. What an answer is, and how it is sent, is khung.contest.
"""

from typing import Annotated, Literal

import anyio
from fastapi import APIRouter, Cookie, Depends, Path, Query, Request
from fastapi.responses import Response
from pydantic import Field

from khung.api.contest import Booth, booth_of
from khung.api.problems import documented
from khung.api.schemas import (
    VIDEO_ID,
    ContestNowOut,
    DraftOut,
    EntryOut,
    EvaluationOut,
    HitOut,
    SearchIn,
    SeatOut,
    Strict,
    VideoId,
)
from khung.api.service import Service, service_of
from khung.contest import aic
from khung.contest.submission import item_name
from khung.records import Keyframe

router = APIRouter(prefix="/v1", tags=["contest"])
Asked = Annotated[Service, Depends(service_of)]
Here = Annotated[Booth, Depends(booth_of)]
Token = Annotated[str, Cookie(alias="contest", max_length=100)]
_ANSWERS = documented(401, 404, 409, 422, 502)
COOKIE = {"httponly": True, "samesite": "strict", "max_age": 7 * 86400}


class LoginIn(Strict):
    username: str = Field(min_length=1, max_length=200)
    password: str = Field(max_length=1000)


class EvaluationIn(Strict):
    evaluation_id: str = Field(min_length=1, max_length=200)


class PickIn(Strict):
    """A keyframe, or with `at_ms` the frame that the player shows."""

    video_id: VideoId
    frame_index: int | None = Field(None, ge=0, le=2**31 - 1)
    at_ms: int | None = Field(None, ge=0, le=2**40)


class AnswerIn(Strict):
    kind: Literal["KIS", "AVS", "QA", "TRAKE"]
    picks: list[PickIn] = Field([], max_length=100)
    text: str = Field("", max_length=1000)
    task_key: str = Field(
        "",
        max_length=1000,
        description="`task.key` that the answer is meant for: while another task runs it is refused",
    )


class SendIn(Strict):
    again: bool = Field(False, description="although it was sent already")


class AnswerFileIn(SearchIn):
    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,100}-(kis|qa|trake)$", examples=["query-1-kis"])
    answer: str = Field("", max_length=aic.MAX_ANSWER, description="of a QA query")


@router.post("/contest/login", responses=_ANSWERS)
async def login(asked: LoginIn, booth: Here, request: Request, response: Response) -> SeatOut:
    """Log in at the contest's server. The session stays with khung; the browser gets a cookie."""
    token, seat = await booth.sessions.login(asked.username, asked.password)
    response.set_cookie("contest", token, secure=request.url.scheme == "https", **COOKIE)
    return SeatOut(username=seat.username, evaluation_id=seat.evaluation_id)


@router.post("/contest/logout", status_code=204, responses=_ANSWERS)
async def logout(booth: Here, token: Token = "") -> Response:
    await booth.sessions.logout(token)
    answer = Response(status_code=204)
    answer.delete_cookie("contest")
    return answer


@router.get("/contest/evaluations", responses=_ANSWERS)
async def evaluations(booth: Here, token: Token = "") -> list[EvaluationOut]:
    """The contest runs that the operator takes part in."""
    runs = await (await booth.sessions.seat(token)).dres.evaluations()
    return [EvaluationOut(id=run.id, name=run.name, status=run.status) for run in runs]


@router.put("/contest/evaluation", responses=_ANSWERS)
async def choose(asked: EvaluationIn, booth: Here, token: Token = "") -> SeatOut:
    """Take part in one of them."""
    seat = await booth.sessions.choose(token, asked.evaluation_id)
    return SeatOut(username=seat.username, evaluation_id=seat.evaluation_id)


@router.get("/contest/now", responses=_ANSWERS)
async def now(booth: Here, token: Token = "") -> ContestNowOut:
    """The running task, its countdown, and the team's answers to it."""
    return await booth.now(await booth.sessions.seat(token))


@router.post("/contest/check", responses=_ANSWERS)
async def check(asked: AnswerIn, booth: Here, service: Asked, token: Token = "") -> DraftOut:
    """Verify an answer without keeping or sending it: what would be sent, and what to look at first."""
    draft = await anyio.to_thread.run_sync(booth.draft, service, asked)
    return await booth.checked(await booth.sessions.seat(token), draft, asked.task_key)


@router.post("/contest/answers", status_code=201, responses=_ANSWERS)
async def propose(asked: AnswerIn, booth: Here, service: Asked, token: Token = "") -> EntryOut:
    """Put an answer on the team's list of the running task."""
    draft = await anyio.to_thread.run_sync(booth.draft, service, asked)
    return await booth.propose(await booth.sessions.seat(token), draft, asked.task_key)


@router.post("/contest/answers/{entry_id}/send", responses=_ANSWERS)
async def send(
    entry_id: Annotated[int, Path(ge=1, le=2**53)], asked: SendIn, booth: Here, token: Token = ""
) -> EntryOut:
    """Send an answer of the list to the contest's server, once."""
    return await booth.send(await booth.sessions.seat(token), entry_id, again=asked.again)


@router.delete("/contest/answers/{entry_id}", status_code=204, responses=_ANSWERS)
async def drop(entry_id: Annotated[int, Path(ge=1, le=2**53)], booth: Here, token: Token = "") -> Response:
    """Take an answer that was not sent off the list."""
    await booth.sessions.seat(token)
    await anyio.to_thread.run_sync(booth.team.drop, entry_id)
    return Response(status_code=204)


@router.get(
    "/answer-file", responses={200: {"content": {"text/csv": {}}}} | documented(404, 422, 503), response_class=Response
)
async def answer_file(asked: Annotated[AnswerFileIn, Query()], service: Asked) -> Response:
    """The best hits of a search as an answer file of the AI Challenge (KIS, QA, TRAKE by the name of the query). Of “A then B” TRAKE takes
    all steps, the others the first."""
    task = aic.task_of(asked.name)
    answer, _ = await service.answer(asked.model_copy(update={"limit": aic.MAX_ROWS, "offset": 0, "cursor": ""}))
    shown = await anyio.to_thread.run_sync(answer.shown, limiter=service.screens)
    with service.serving.borrow(answer.snapshot_id) as here:
        names = {video.video_id: item_name(video) for video in here.snapshot.records.videos()}
    steps = None if task == "trake" else 1
    rows = [aic.row(names[hit.frame.video_id], _frames(hit)[:steps], answer=asked.answer) for hit in shown.hits]
    return _csv(asked.name, aic.write(asked.name, rows))


@router.get(
    "/videos/{video_id}/map-keyframes",
    responses={200: {"content": {"text/csv": {}}}} | documented(404, 422, 503),
    response_class=Response,
)
def map_keyframes(video_id: Annotated[str, Path(pattern=VIDEO_ID)], service: Asked) -> Response:
    """The video's keyframes as the AI Challenge's map-keyframes file."""
    with service.serving.borrow() as here:
        video = here.snapshot.records.video(video_id)
        keyframes: list[Keyframe] = [record.keyframe for record in here.snapshot.records.frames_of(video_id)]
    return _csv(video_id, aic.write_map(video, keyframes))


def _frames(hit: HitOut) -> list[int]:
    return [step.frame.frame_index for step in (hit, *hit.chain)]


def _csv(name: str, data: bytes) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"', "Cache-Control": "no-store"}
    return Response(data, media_type="text/csv", headers=headers)
