"""A DRES server for the session; each test finds it as new, and no test may have sent what its document forbids."""

import socket
from collections.abc import Iterator

import pytest

from tests.contest.dres_server import DresServer


@pytest.fixture(scope="session")
def _served() -> Iterator[DresServer]:
    server = DresServer()
    with server.served():
        yield server


@pytest.fixture
def dres_server(_served: DresServer) -> Iterator[DresServer]:
    _served.reset()
    yield _served
    assert _served.mistakes == []


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def nobody() -> str:
    """An address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"
