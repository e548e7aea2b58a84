"""An ASGI application on a real port, in a thread of this process."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from khung.api.protocol import PatientProtocol


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def served(app: FastAPI, **options: object) -> Iterator[str]:
    """The address while the block runs. `options` are uvicorn's."""
    port = free_port()
    kept = {"http": PatientProtocol, "log_level": "warning", "access_log": False, "proxy_headers": False}
    server = uvicorn.Server(uvicorn.Config(app, port=port, **(kept | options)))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert server.started, "the server did not start"
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)
