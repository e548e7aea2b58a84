"""What stands around every request: security headers, the same-site rule, keys and rates, one log line and one measurement.

Plain ASGI, so that streams pass untouched. Nothing here reads a body; a search that was answered under the very same address
is answered from here.
"""

import time
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from khung.api import logs
from khung.api.access import Caller
from khung.api.answers import Ready
from khung.api.asking import PATH, by_address, renewed
from khung.api.headers import RAW
from khung.api.problems import MEDIA_TYPE, Problem, response_of, shown
from khung.api.service import Service
from khung.errors import AccessDenied, KhungError, Overloaded, QueryError
from khung.metrics import CACHE, http_seconds

OTHER_SITE = "Requests that change something are taken from khung's own pages only."
MOST_PARAMETERS = 1000  # of an address; a question with every field full has two thirds of them
LONGEST_VALUE = 2**14  # bytes of one parameter as it is written, where a letter may take twelve
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_METHODS = SAFE | {"POST", "PUT", "PATCH", "DELETE"}
_HEALTH = "/health"
GONE = 499  # in metrics and logs, as nginx has it: the client hung up
_OF_ADDRESS = CACHE.labels("address", "hit")
_TURNED_AWAY: dict[int, Ready] = {}  # by seconds, of which the desk knows thirty
_HEALTHY = b'{"status":"ok"}'
HEALTHY = Ready(
    200,
    ((b"content-type", b"application/json"), (b"content-length", str(len(_HEALTHY)).encode()), *RAW),
    (_HEALTHY,),
)
"""What `khung.api.routes.system.health` answers, without a way through the application: it is asked for when there is no time."""


class Guard:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        began, told = time.perf_counter(), Told(send)
        try:
            await self._guarded(scope, receive, told)
        except ClientDisconnect:
            told.status = GONE  # nobody is there to be answered
        finally:
            tell(scope, told.status, time.perf_counter() - began)

    async def _guarded(self, scope: Scope, receive: Receive, send: "Told") -> None:
        asked, state = (scope["method"], scope["path"]), scope["app"].state
        if asked == ("GET", _HEALTH):
            scope["khung.route"] = _HEALTH
            return await send.at_once(HEALTHY)
        try:
            _check_request(scope)
            caller = scope.setdefault("state", {})["caller"] = state.access.admit(scope)
            if asked == ("GET", PATH):
                if ready := _known(scope, state.service, caller):
                    return await send.at_once(ready)
                if quick := await by_address(scope, receive, state.service, caller.id):
                    return await send.at_once(quick.at_once(_known_tag(scope)))
        except (KhungError, HTTPException) as error:
            return await _refuse(scope, receive, send, error)
        await self._app(scope, receive, send)


def _known(scope: Scope, service: Service, caller: Caller) -> Ready | None:
    """The answer to who asks under an address that was answered before; while no other can be worked out, that it is too much."""
    serving, query = service.serving, scope["query_string"]
    if quick := service.quick.get(query, caller.id, serving.snapshot_id, serving.fingerprint):
        scope["khung.route"] = PATH
        service.popular.again(quick.question)
        _OF_ADDRESS.inc()
        if quick.aged:
            quick = renewed(quick, service, query, caller.id)
        return quick.at_once(_known_tag(scope))
    if service.desk.full and query not in service.asking:
        scope["khung.route"] = PATH
        return _turned_away(service.desk.overloaded())
    return None


def _known_tag(scope: Scope) -> bytes | None:
    return next((value for name, value in scope["headers"] if name == b"if-none-match"), None)


def _turned_away(error: Overloaded) -> Ready:
    """The problem, made once for each time that is to be waited: it is told most when there is no time for it."""
    if (ready := _TURNED_AWAY.get(error.retry_after_s)) is None:
        answer = response_of(error)
        ready = Ready(answer.status_code, (*answer.raw_headers, *RAW), (bytes(answer.body),))
        _TURNED_AWAY[error.retry_after_s] = ready
    return ready


def _check_request(scope: Scope) -> None:
    """Raises QueryError, HTTPException for what is refused whoever asks."""
    query = scope["query_string"]
    if query.count(b"&") > MOST_PARAMETERS:
        raise QueryError(f"The address has more than {MOST_PARAMETERS} parameters.", cure="Ask for less at once.")
    if len(query) > LONGEST_VALUE and max(map(len, query.split(b"&"))) > LONGEST_VALUE:
        raise QueryError("A parameter of the address is longer than any may be.", cure="Ask with fewer words.")
    if scope["method"] not in SAFE and Headers(scope=scope).get("sec-fetch-site") in ("cross-site", "same-site"):
        raise HTTPException(403, OTHER_SITE)


def _is_page(scope: Scope) -> bool:
    return not scope["path"].startswith("/v1/") and "text/html" in Headers(scope=scope).get("accept", "")


async def _refuse(scope: Scope, receive: Receive, send: Send, error: KhungError | HTTPException) -> None:
    """A problem for programs, a page for people, the way in for people without a key."""
    if not _is_page(scope):
        return await response_of(error)(scope, receive, send)
    if isinstance(error, AccessDenied) and error.status == 401:
        return await _to_login(scope, receive, send)
    await shown(scope["app"].state.error_page, Request(scope), error)(scope, receive, send)


async def _to_login(scope: Scope, receive: Receive, send: Send) -> None:
    """A person without a key is shown where to give one, and comes back to where they wanted to go."""
    wanted = scope["path"] + ("?" + scope["query_string"].decode("latin-1") if scope["query_string"] else "")
    there = f"/login?next={quote(wanted, safe='')}" if scope["method"] in SAFE else "/login"
    await RedirectResponse(there, 303, {"Cache-Control": "no-store"})(scope, receive, send)


class Told:
    """The `send` of one request: adds the headers, remembers the status, and makes the body limiter's plain 413 a problem."""

    __slots__ = ("_replaced", "_send", "status")

    def __init__(self, send: Send) -> None:
        self.status = 500
        self._send = send
        self._replaced = False

    async def at_once(self, ready: Ready) -> None:
        """Send what needs nothing added."""
        self.status = ready.status
        await self._send({"type": "http.response.start", "status": ready.status, "headers": ready.headers})
        for part in ready.parts[:-1]:
            await self._send({"type": "http.response.body", "body": part, "more_body": True})
        await self._send({"type": "http.response.body", "body": ready.parts[-1]})

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message["headers"])
            known = {name for name, _ in headers}
            message = message | {"headers": headers + [pair for pair in RAW if pair[0] not in known]}
            if self.status == 413 and (b"content-type", MEDIA_TYPE.encode()) not in headers:
                self._replaced = True
                return await send_problem(
                    self._send, 413, "Content Too Large", "The request is larger than khung takes."
                )
        if not self._replaced:
            await self._send(message)


def tell(scope: Scope, status: int, seconds: float) -> None:
    """One request into metrics and log: the route's template, never the path with its ids or the query."""
    route = scope.get("khung.route") or _route(scope)
    method = scope["method"] if scope["method"] in _METHODS else "other"
    http_seconds(route, method, status).observe(seconds)
    logs.request(method, route, status, seconds)


def _route(scope: Scope) -> str:
    if scope["path"].startswith("/static/"):
        return "/static"
    return getattr(scope.get("route"), "path", "unmatched")


async def send_problem(
    send: Send, status: int, title: str, detail: str, more: Mapping[str, str] = MappingProxyType({})
) -> None:
    """A problem sent from outside the application, with `more` headers."""
    kind = f"urn:khung:problem:{title.lower().replace(' ', '-')}"
    body = Problem(type=kind, title=title, status=status, detail=detail).model_dump_json().encode()
    headers = {"content-type": MEDIA_TYPE, "content-length": str(len(body)), "cache-control": "no-store", **more}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": [*raw, *RAW]})
    await send({"type": "http.response.body", "body": body})
