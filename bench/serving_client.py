"""Clients of the serving benchmark: as little as a client can do, for it shares the cores with the server. Only 127.0.0.1.

`Connection` knows latency: one question at a time on the event loop. `hammer` knows throughput: raw sockets and epoll in a loop,
which spends a third of what the server spends. Both know of HTTP what khung's answers need, and no more.
"""

import asyncio
import select
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


class Connection(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self) -> None:
        self._waiter: asyncio.Future[int] | None = None
        self._left, self._status, self._head = -1, 0, b""

    def connection_made(self, transport):
        self._transport = transport

    def data_received(self, data):
        if self._left < 0:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            self._left = length_of(self._head) + end + 4 - len(self._head)
            self._status, self._head = int(self._head[9:12]), b""
        else:
            self._left -= len(data)
        if self._left == 0:
            self._left = -1
            self._waiter.set_result(self._status)

    def connection_lost(self, error):
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(0)

    def get(self, path: str) -> "asyncio.Future[int]":
        """The status; 0 when the connection broke."""
        self._waiter = asyncio.get_running_loop().create_future()
        if self._transport.is_closing():
            self._waiter.set_result(0)
        else:
            self._transport.write(request(path))
        return self._waiter

    def close(self) -> None:
        self._transport.close()


async def connect(port: int, count: int) -> list[Connection]:
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(Connection, "127.0.0.1", port))[1] for _ in range(count)]


def request(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()


def length_of(head: bytes) -> int:
    at = head.index(b"content-length: ") + 16
    return int(head[at : head.index(b"\r\n", at)])


@dataclass
class Hammered:
    """What came of a hammering: answers, those that were no 200, each answer's wall in ms, seconds, the client's own CPU seconds."""

    count: int = 0
    errors: int = 0
    walls: list[float] = field(default_factory=list)
    seconds: float = 0.0
    client_cpu: float = 0.0


class _Line:
    """One raw connection: what it asked, since when, how many bytes are still to come (-1: the head is not here)."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.began, self.left = 0.0, -1


def hammer(port: int, paths: Iterator[str], clients: int, seconds: float) -> Hammered:
    """`clients` connections, each asking as soon as it was answered, for so long."""
    lines = {line.socket.fileno(): line for line in (_Line(port) for _ in range(clients))}
    epoll, buffer = select.epoll(), memoryview(bytearray(2**18))
    for number in lines:
        epoll.register(number, select.EPOLLIN)
    told, cpu, began = Hammered(), time.process_time(), time.perf_counter()
    until = began + seconds
    for line in lines.values():
        _ask(line, paths)
    while lines:
        for number, _ in epoll.poll(10):
            line = lines[number]
            if not _read(line, buffer, told):
                continue
            if time.perf_counter() < until and line.left == 0:
                _ask(line, paths)
            else:
                epoll.unregister(number)
                lines.pop(number).socket.close()
    told.seconds, told.client_cpu = time.perf_counter() - began, time.process_time() - cpu
    return told


def _ask(line: _Line, paths: Iterator[str]) -> None:
    line.left, line.began = -1, time.perf_counter()
    line.socket.send(request(next(paths)))


def _read(line: _Line, buffer: memoryview, told: Hammered) -> bool:
    """Take what has come. True when the answer is whole, or the connection broke."""
    got = line.socket.recv_into(buffer)
    if got == 0:
        told.errors += 1
        line.left = -2
        return True
    if line.left < 0:  # the head: khung sends it whole
        head = bytes(buffer[: min(got, 2000)])
        line.left = length_of(head) + head.index(b"\r\n\r\n") + 4
        told.errors += head[9:12] != b"200"
    line.left -= got
    if line.left == 0:
        told.count += 1
        told.walls.append(1000 * (time.perf_counter() - line.began))
    return line.left == 0


def cycle(paths: Sequence[str]) -> Iterator[str]:
    while True:
        yield from paths
