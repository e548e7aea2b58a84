"""The protocol below the application: uvicorn's own, with patience that ends and a full house that says so.

What lives here: connections that bring nothing, heads and bodies that never end, more connections than there is room for. What
does not: processes and signals (server.py), anything about a request's content.
"""

import asyncio
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from khung.api.doors import Tally
from khung.api.guard import send_problem
from khung.api.problems import OUTAGE_S
from khung.metrics import SHED

MAX_HEAD = 2**18  # bytes of a request's line and headers


class PatientProtocol(HttpToolsProtocol):
    """A client that does not bring a whole request head in time, or falls silent in the middle of a body, is let go: slowloris holds
    no connection."""

    header_timeout_s = 10.0
    body_timeout_s = 30.0  # without a byte, while khung waits for one
    max_connections = 0  # 0: no limit
    tally: Tally | None = None  # where workers share connections
    _in_head = _in_body = _heard = False
    _head_bytes = 0
    _timer: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._application = self.app

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.header_timeout_s, self._give_up)

    def data_received(self, data: bytes) -> None:
        self._heard = True
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD:
                self._close(b"431 Request Header Fields Too Large")
            elif self._timer is None:
                self._timer = self.loop.call_later(self.header_timeout_s, self._give_up)
        elif self._in_body and self._timer is None:
            self._timer = self.loop.call_later(self.body_timeout_s, self._look_at_body)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        self._in_head, self._in_body = False, True
        self._forget_timer()
        full = self.max_connections and len(self.connections) > self.max_connections
        self.app = _full(self._application) if full else self._application
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        self._forget_timer()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_timer()
        if self.tally:
            self.tally.add(-1)
        super().connection_lost(exc)

    def _look_at_body(self) -> None:
        """Has anything come since the last look? A pause that khung itself asked for does not count."""
        self._timer = None
        if not (self._heard or self.flow.read_paused or self.cycle.response_complete):
            return self._close(b"408 Request Timeout")
        self._heard = False
        self._timer = self.loop.call_later(self.body_timeout_s, self._look_at_body)

    def _give_up(self) -> None:
        self._timer = None
        self._close(b"408 Request Timeout")

    def _close(self, status: bytes) -> None:
        self._in_head = self._in_body = False
        if not self.transport.is_closing():
            started = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
            if not started:
                self.transport.write(b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            self.transport.close()

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _full(application: ASGIApp) -> ASGIApp:
    """What a connection beyond the last one gets: a problem, and its end. Whether the process lives is told all the same."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/health":
            return await application(scope, receive, send)
        SHED.labels("connections").inc()
        detail = "khung holds as many connections as it can."
        more = {"retry-after": str(OUTAGE_S), "connection": "close"}
        await send_problem(send, 503, "Too busy", detail, more)

    return answer
