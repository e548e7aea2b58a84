"""The process around the application: uvicorn with patience that ends, several workers, room for many connections.

What lives here: sockets, processes, signals. What the application is, app.py knows.
"""

import asyncio
import os
import resource
import sys
import tempfile

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from khung.settings import Settings, settings

DRAIN_S = 20  # after SIGTERM, for the requests that were taken
MAX_HEAD = 2**18  # bytes of a request's line and headers


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's own, but a client that does not bring a whole request head in time is let go: slowloris holds no connection."""

    header_timeout_s = 10.0
    _in_head = False
    _head_bytes = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.header_timeout_s, self._give_up)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._in_head:
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD:
            self._close(b"431 Request Header Fields Too Large")
        elif self._timer is None:
            self._timer = self.loop.call_later(self.header_timeout_s, self._give_up)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._forget_timer()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_timer()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        self._timer = None
        self._close(b"408 Request Timeout")

    def _close(self, status: bytes) -> None:
        self._in_head = False
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            self.transport.close()

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def application() -> FastAPI:
    """The application of a worker process: its settings come from the environment."""
    return tuned(settings())


def tuned(config: Settings) -> FastAPI:
    """The application in a process that does nothing else: a search in a thread may keep the event loop waiting for 1 ms, not 5."""
    from khung.api.app import create_app

    sys.setswitchinterval(0.001)
    return create_app(config)


def run(config: Settings) -> None:
    """Serve until a signal. Requests that were taken are answered first, for DRAIN_S at most."""
    _make_room(config)
    PatientProtocol.header_timeout_s = config.serve.header_timeout_s
    options = {
        "host": config.host,
        "port": config.port,
        "http": PatientProtocol,
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "timeout_graceful_shutdown": DRAIN_S,
        "limit_concurrency": config.serve.max_connections,
        "proxy_headers": bool(config.serve.trusted_proxies),
        "forwarded_allow_ips": config.serve.trusted_proxies,
    }
    if config.serve.workers == 1:
        uvicorn.run(tuned(config), **options)
        return
    with tempfile.TemporaryDirectory(prefix="khung-metrics-") as folder:
        os.environ |= {
            "PROMETHEUS_MULTIPROC_DIR": folder,
            "KHUNG_HOST": config.host,
            "KHUNG_PORT": str(config.port),
            "KHUNG_SERVE_WORKERS": str(config.serve.workers),
        }
        uvicorn.run("khung.api.server:application", factory=True, workers=config.serve.workers, **options)


def _make_room(config: Settings) -> None:
    """As many open files as the system grants, if they are fewer than the connections that may come."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = config.serve.max_connections + 1000
    if soft < wanted and soft != resource.RLIM_INFINITY:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )
