"""What stands around every request: security headers, the same-site rule, keys and rates, one log line and one measurement.

Plain ASGI, so that streams pass untouched. Nothing here reads a body; a search that was answered under the very same address
is answered from here.
"""

import logging
import time
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from khung.api.answers import CACHE_CONTROL, Quick, has
from khung.api.headers import HEADERS
from khung.api.problems import MEDIA_TYPE, Problem, problem_of, response_of
from khung.errors import AccessDenied, KhungError
from khung.metrics import CACHE, HTTP_SECONDS

log = logging.getLogger("khung.api.access")

OTHER_SITE = "Requests that change something are taken from khung's own pages only."
_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_METHODS = SAFE | {"POST", "PUT", "PATCH", "DELETE"}


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
        finally:
            tell(scope, told.status, time.perf_counter() - began)

    async def _guarded(self, scope: Scope, receive: Receive, send: "Told") -> None:
        state = scope["app"].state
        try:
            _check_request(scope)
            caller = scope.setdefault("state", {})["caller"] = state.access.admit(scope)
        except (KhungError, HTTPException) as error:
            return await _refuse(scope, receive, send, error)
        if scope["path"] == "/v1/search" and scope["method"] == "GET":
            service = state.service
            fingerprint, snapshot_id = service.serving.fingerprint, service.serving.snapshot_id
            if quick := service.quick.get(scope["query_string"], caller.id, snapshot_id, fingerprint):
                scope["khung.route"] = "/v1/search"
                service.popular.again(quick.question)
                CACHE.labels("address", "hit").inc()
                return await _send_quick(scope, quick, caller.id, send)
            if service.desk.full and scope["query_string"] not in service.asking:
                scope["khung.route"] = "/v1/search"  # turned away before it costs anything
                return await response_of(service.desk.overloaded())(scope, receive, send)
        await self._app(scope, receive, send)


def _check_request(scope: Scope) -> None:
    """Raises HTTPException for what is refused whoever asks."""
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
    await scope["app"].state.error_page(Request(scope), problem_of(error))(scope, receive, send)


async def _to_login(scope: Scope, receive: Receive, send: Send) -> None:
    """A person without a key is shown where to give one, and comes back to where they wanted to go."""
    wanted = scope["path"] + ("?" + scope["query_string"].decode("latin-1") if scope["query_string"] else "")
    there = f"/login?next={quote(wanted, safe='')}" if scope["method"] in SAFE else "/login"
    await RedirectResponse(there, 303, {"Cache-Control": "no-store"})(scope, receive, send)


async def _send_quick(scope: Scope, quick: Quick, owner: str, send: Send) -> None:
    answer, etag = quick.answer, quick.answer.etag(owner)
    headers = [(b"etag", etag.encode()), (b"cache-control", CACHE_CONTROL.encode())]
    asked = next((value for name, value in scope["headers"] if name == b"if-none-match"), None)
    if asked is not None and has(asked.decode("latin-1"), etag):
        await send({"type": "http.response.start", "status": 304, "headers": headers})
        return await send({"type": "http.response.body", "body": b""})
    length = len(answer.head) + len(quick.tail)
    headers += [(b"content-type", b"application/json"), (b"content-length", str(length).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer.head, "more_body": True})
    await send({"type": "http.response.body", "body": quick.tail})


class Told:
    """The `send` of one request: adds the headers, remembers the status, and makes the body limiter's plain 413 a problem."""

    def __init__(self, send: Send) -> None:
        self.status = 500
        self._send = send
        self._replaced = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message["headers"])
            known = {name for name, _ in headers}
            message = message | {"headers": headers + [pair for pair in _HEADERS if pair[0] not in known]}
            if self.status == 413 and (b"content-type", MEDIA_TYPE.encode()) not in headers:
                self._replaced = True
                return await send_problem(
                    self._send, 413, "Content Too Large", "The request is larger than khung takes."
                )
        if not self._replaced:
            await self._send(message)


def tell(scope: Scope, status: int, seconds: float) -> None:
    """One request into metrics and log: the route's template, never the path with its ids or the query."""
    static = scope["path"].startswith("/static/")
    route = "/static" if static else scope.get("khung.route") or getattr(scope.get("route"), "path", "unmatched")
    method = scope["method"] if scope["method"] in _METHODS else "other"
    HTTP_SECONDS.labels(route, method, str(status)).observe(seconds)
    values = {"method": method, "route": route, "status": status, "took_ms": round(seconds * 1000, 1)}
    log.info("request", extra=values)


async def send_problem(send: Send, status: int, title: str, detail: str) -> None:
    """A problem sent from outside the application."""
    kind = f"urn:khung:problem:{title.lower().replace(' ', '-')}"
    body = Problem(type=kind, title=title, status=status, detail=detail).model_dump_json().encode()
    headers = {"content-type": MEDIA_TYPE, "content-length": str(len(body)), "cache-control": "no-store"} | HEADERS
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
