"""What stands around every request: security headers, the same-site rule, one log line and one measurement.

Plain ASGI, so that streams pass untouched. Nothing here reads a body or a query string.
"""

import logging
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from khung.api.headers import HEADERS
from khung.api.problems import MEDIA_TYPE, Problem
from khung.metrics import HTTP_SECONDS

log = logging.getLogger("khung.api.access")

OTHER_SITE = "Requests that change something are taken from khung's own pages only."
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_METHODS = SAFE | {"POST", "PUT", "PATCH", "DELETE"}


class Guard:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if scope["method"] not in SAFE and Headers(scope=scope).get("sec-fetch-site") in ("cross-site", "same-site"):
            return await send_problem(send, 403, "Forbidden", OTHER_SITE)
        await self._watched(scope, receive, send)

    async def _watched(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, told = time.perf_counter(), Told(send)
        try:
            await self._app(scope, receive, told)
        finally:
            tell(scope, told.status, time.perf_counter() - began)


class Told:
    """The `send` of one request: adds the headers, remembers the status, and makes the body limiter's plain 413 a problem."""

    def __init__(self, send: Send) -> None:
        self.status = 500
        self._send = send
        self._replaced = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            if self.status == 413 and headers.get("content-type") != MEDIA_TYPE:
                self._replaced = True
                return await send_problem(
                    self._send, 413, "Content Too Large", "The request is larger than khung takes."
                )
        if not self._replaced:
            await self._send(message)


def tell(scope: Scope, status: int, seconds: float) -> None:
    """One request into metrics and log: the route's template, never the path with its ids or the query."""
    static = scope["path"].startswith("/static/")
    route = "/static" if static else getattr(scope.get("route"), "path", "unmatched")
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
