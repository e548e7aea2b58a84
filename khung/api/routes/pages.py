"""The screens for people. Whole pages, rendered on the server; the scripts only put their parts in place without a reload."""

from typing import Annotated, Any, Literal

import anyio
from fastapi import APIRouter, Depends, Path, Query, Request, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError

from khung.api import present, screens
from khung.api.contest import Booth, booth_of
from khung.api.library import STATES, copied, shelf_of
from khung.api.pagestate import PageState
from khung.api.problems import Problem
from khung.api.routes.search import keep_query_image
from khung.api.schemas import VIDEO_ID, SearchOut
from khung.api.service import Service, service_of
from khung.api.uploads import waiting
from khung.errors import NotFound, SearchUnavailable
from khung.records import frame_id
from khung.stores import STAGES
from khung.web.render import render
from khung.web.strings import Words, choose_language

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
Asked = Annotated[Service, Depends(service_of)]
InPath = Annotated[str, Path(pattern=VIDEO_ID)]
State = Annotated[PageState, Query()]

REEL = 24  # videos on the first page
MAX_PICTURE = 2**25  # bytes of a form with one picture; khung.api.images judges the picture itself
EXAMPLES = {  # one of them in the other language, and one without marks: both may be asked
    "vi": (
        {"q": "người đi bộ trên phố", "then": [], "lang": "vi"},
        {"q": "xe dap", "then": [], "lang": "vi"},
        {"q": "a bird", "then": [], "lang": "en"},
        {"q": "ô tô trên phố", "then": ["nhóm người"], "lang": "vi"},
    ),
    "en": (
        {"q": "people walking on a street", "then": [], "lang": "en"},
        {"q": "a bird", "then": [], "lang": "en"},
        {"q": "xe đạp", "then": [], "lang": "vi"},
        {"q": "a car on a street", "then": ["a group of people"], "lang": "en"},
    ),
}


@router.get("/")
async def search_page(request: Request, state: State, service: Asked) -> Response:
    """The search screen: the question's answer, or the way in when nothing is asked."""
    if not state.asks:
        videos, total = await anyio.to_thread.run_sync(_reel, service)
        values = {"videos": videos, "video_count": total, "examples": EXAMPLES[words_of(request).language]}
        return page(request, "search.html", state=state, here="search", **values)
    asked = state.question()
    answer, _ = await service.answer(asked)
    shown = await anyio.to_thread.run_sync(answer.shown, limiter=service.screens)
    if (booth := request.app.state.booth) and (token := request.cookies.get("contest")):
        booth.log_search(token, service, await anyio.to_thread.run_sync(service.request, asked), shown)
    return await anyio.to_thread.run_sync(_answer_page, request, state, shown, limiter=service.screens)


def _answer_page(request: Request, state: PageState, shown: SearchOut) -> Response:
    return page(request, "search.html", state=state, here="search", **screens.answer(state, shown, words_of(request)))


@router.get("/frame/{video_id}/{frame_index}")
def frame_page(
    request: Request,
    video_id: InPath,
    frame_index: Annotated[int, Path(ge=0, le=2**31 - 1)],
    state: State,
    service: Asked,
) -> Response:
    """One frame, looked at closely; shown as a page of its own or in the panel beside the results."""
    with service.serving.borrow() as here:
        frames = here.snapshot.records.frames_of(video_id)
        around = present.neighbours(frames, frame_id(video_id, frame_index), 12)
        of = here.snapshot.records.video(video_id)
        video = present.video(of, here.gist(video_id), copied(service, [of]))
    frame, t = around.frame, words_of(request)
    strip = [*around.before, frame, *around.after]
    known = screens.known(frame, state, t)
    values = {"frame": frame, "video": video, "around": strip, "terms": screens.terms(state), "known": known}
    return page(request, "frame.html", state=state, here="search", **values)


@router.get("/video/{video_id}")
def video_page(request: Request, video_id: InPath, state: State, service: Asked) -> Response:
    """A video's shots and keyframes."""
    with service.serving.borrow() as here:
        frames = here.snapshot.records.frames_of(video_id)
        of = here.snapshot.records.video(video_id)
        video = present.video(of, here.gist(video_id), copied(service, [of]))
    inside = state.model_copy(update={"video": [video_id]})
    return page(request, "video.html", state=inside, here="library", video=video, shots=screens.shots(frames))


@router.get("/library")
def library_page(
    request: Request,
    service: Asked,
    state: Annotated[Literal["", *STATES], Query()] = "",
    name: Annotated[str, Query(max_length=200)] = "",
    at: Annotated[int, Query(alias="page", ge=1, le=10**5)] = 1,
) -> Response:
    """Every file that was given, with its state."""
    shelf = shelf_of(service, state, name.strip(), at)
    return page(request, "library.html", here="library", shelf=shelf, stage_names=STAGES, inbox=waiting(service))


@router.post("/library")
async def upload_by_form(service: Asked, files: list[UploadFile]) -> Response:
    """Uploading without scripts."""
    await anyio.to_thread.run_sync(service.ready_for_uploads)
    for file in files:
        await service.inbox.receive(file.filename or "", _chunks(file))
    return RedirectResponse("/library", 303)


@router.post("/by-image", max_body_size=MAX_PICTURE)
async def search_by_image(service: Asked, picture: UploadFile) -> Response:
    """Searching by image without scripts."""
    kept = await keep_query_image(picture, service)
    return RedirectResponse(f"/?image={kept.image}", 303)


@router.get("/contest")
def contest_page(request: Request, _: Annotated[Booth, Depends(booth_of)]) -> Response:
    """Logging in, the running task, the team's answers."""
    return page(request, "contest.html", here="contest")


@router.get("/docs")
def api_page(request: Request) -> Response:
    """The HTTP API, from its own OpenAPI description."""
    if request.app.openapi_url is None:
        raise NotFound("The API's description is not served here.")
    return page(request, "api.html", here="api", api=request.app.openapi())


def page(
    request: Request, template: str, *, state: PageState | None = None, here: str = "", **values: Any
) -> HTMLResponse:
    """A rendered page in the asker's language and colours. `ui=` in the address is remembered in a cookie."""
    t = words_of(request)
    theme = request.cookies.get("theme")
    other = "en" if t.language == "vi" else "vi"
    html = render(
        template,
        t=t,
        state=state or PageState(),
        here=here,
        theme=theme if theme in ("light", "dark") else "",
        home_url="/",
        contest=request.app.state.booth is not None,
        rules=request.app.state.service.settings.contest.rules,
        seated=request.app.state.booth is not None and "contest" in request.cookies,
        other_language=other,
        other_language_url=local(str(request.url.include_query_params(ui=other).replace(scheme="", netloc=""))),
        **values,
    )
    answer = HTMLResponse(html, headers={"Cache-Control": "private, no-store", "Vary": "Cookie, Accept-Language"})
    if request.query_params.get("ui") == t.language:
        answer.set_cookie("ui", t.language, max_age=31536000, samesite="lax")
    return answer


def local(address: str) -> str:
    """The address if it is one of khung's own pages; a stranger's link must not send people elsewhere."""
    plain = address.startswith("/") and not address.startswith("//") and "\\" not in address
    return address if plain and address.isprintable() else "/"


def problem_page(request: Request, problem: Problem) -> HTMLResponse:
    """A problem as a page."""
    t, kind = words_of(request), problem.type.rpartition(":")[2].replace("-", "_")
    title = t.maybe(f"problem_{kind}", problem.title)
    english = f"{problem.detail} {problem.cure}".strip()
    told = t.told(problem.code, kind, problem.values, english)
    values = {"status": problem.status, "title": title, "told": told, "english": english}
    answer = page(request, "problem.html", state=_asked(request), **values)
    answer.status_code = problem.status
    return answer


def _asked(request: Request) -> PageState:
    """What the address asks, so that nothing typed is lost by a problem; nothing when that is what the problem is."""
    query = request.query_params
    lists = {name for name, field in PageState.model_fields.items() if isinstance(field.default, list)}
    try:
        return PageState.model_validate({name: query.getlist(name) if name in lists else query[name] for name in query})
    except ValidationError:
        return PageState()


def words_of(request: Request) -> Words:
    asked, kept = request.query_params.get("ui"), request.cookies.get("ui")
    return Words(choose_language(asked, kept, request.headers.get("accept-language", "")))


def _reel(service: Service) -> tuple[list[dict[str, Any]], int]:
    """Some searchable videos, each with three of its frames, and how many there are; none before the first snapshot."""
    try:
        with service.serving.borrow() as here:
            videos = here.snapshot.records.videos()
            return [screens.film(here, video) for video in videos[:REEL]], len(videos)
    except SearchUnavailable:
        return [], 0


async def _chunks(file: UploadFile):
    while chunk := await file.read(1 << 20):
        yield chunk
