"""What stands around every request: security headers, the same-site rule, one log line and one measurement.

Plain ASGI, so that streams pass untouched. Nothing here reads a body or a query string.
"""

import json
import logging
import time
from collections.abc import Awaitable, Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from khung.metrics import HTTP_SECONDS

log = logging.getLogger("khung.api.access")

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self'; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if scope["method"] not in SAFE and Headers(scope=scope).get("sec-fetch-site") in ("cross-site", "same-site"):
            return await _refuse(send)
        await self._watched(scope, receive, send)

    async def _watched(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, status = time.perf_counter(), 500

        async def send_guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, send_guarded)
        finally:
            tell(scope, status, time.perf_counter() - began)


def tell(scope: Scope, status: int, seconds: float) -> None:
    """One request into metrics and log: the route's template, never the path with its ids or the query."""
    static = scope["path"].startswith("/static/")
    route = "/static" if static else getattr(scope.get("route"), "path", "unmatched")
    HTTP_SECONDS.labels(route, scope["method"] if scope["method"] in _METHODS else "other", str(status)).observe(
        seconds
    )
    values = {"method": scope["method"], "route": route, "status": status, "took_ms": round(seconds * 1000, 1)}
    log.info("request", extra=values)


_METHODS = SAFE | {"POST", "PUT", "PATCH", "DELETE"}


async def _refuse(send: Callable[[Message], Awaitable[None]]) -> None:
    """Another site's page must not upload or submit in the name of whoever sits at this browser."""
    body = json.dumps({
        "type": "urn:khung:problem:forbidden", "title": "Forbidden", "status": 403,
        "detail": "Requests that change something are taken from khung's own pages only.", "cure": "", "errors": [],
    }).encode()  # fmt: skip
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
