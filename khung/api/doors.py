"""Connections shared evenly among worker processes.

All workers wait at one listening socket. The kernel wakes them together, and who is first would take whatever is there: a few connections
that stay open then lie in one worker while another has none. So a worker writes down how many it holds where all can read it, takes one
at a time, and leaves the next to a worker that holds fewer; if that one does not come, it takes the connection after all.

What does not live here: what is spoken over a connection (protocol.py), processes (server.py).
"""

import asyncio
import fcntl
import logging
import mmap
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop

log = logging.getLogger("khung.api")

TALLIES = "KHUNG_SHARED_TALLIES"
"""The variable of the environment that names the file of tallies."""

PLACES = 256  # workers, those that are just being replaced included
_PLACE = struct.Struct("=ii")  # pid, connections
_PAUSE_S = 0.001
_PATIENCE = 20  # pauses for a worker with fewer connections, which may be in the middle of something
_TIRED_S = 0.2  # after an error of the system, such as too many open files


class Tally:
    """How many connections this process holds, beside those of the others: a mapped file with a place for each, written by its
    owner alone. A place whose process is gone is free."""

    def __init__(self, path: Path) -> None:
        size = PLACES * _PLACE.size
        with open(path, "a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # one at a time looks for a place
            file.truncate(size)
            self._shared = mmap.mmap(file.fileno(), size)
            self._mine = next(n for n in range(PLACES) if not _lives(self._read(n)[0]))
            self.held = 0
            self._write(os.getpid())
            fcntl.flock(file, fcntl.LOCK_UN)  # the map keeps the file open, and would keep the lock

    def add(self, connections: int) -> None:
        self.held += connections
        self._write(os.getpid())

    def others_hold_fewer(self) -> bool:
        pids = (self._read(n) for n in range(PLACES) if n != self._mine)
        return any(pid and held < self.held and _lives(pid) for pid, held in pids)

    def leave(self) -> None:
        """This process takes no more: nobody waits for it."""
        self._write(0)

    def _read(self, place: int) -> tuple[int, int]:
        return _PLACE.unpack_from(self._shared, place * _PLACE.size)

    def _write(self, pid: int) -> None:
        _PLACE.pack_into(self._shared, self._mine * _PLACE.size, pid, self.held)


def _lives(pid: int) -> bool:
    try:
        return bool(pid) and os.kill(pid, 0) is None
    except OSError:
        return False


class Door:
    """A listening socket that connections are taken from one at a time; to asyncio it is a Server."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, listening: socket.socket, factory: Callable[[], Any], tally: Tally
    ) -> None:
        self._loop, self._socket, self._factory, self._tally = loop, listening, factory, tally
        self._waited = 0
        self._timer: asyncio.TimerHandle | None = None
        self._coming: set[asyncio.Task[Any]] = set()
        self._open = True
        self._watch()

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        return (self._socket,) if self._open else ()

    def close(self) -> None:
        if self._open:
            self._open = False
            self._tally.leave()
            self._loop.remove_reader(self._socket)
            if self._timer:
                self._timer.cancel()

    async def wait_closed(self) -> None:
        """Connections that were taken are uvicorn's to wait for."""

    def _watch(self) -> None:
        self._timer = None
        self._loop.add_reader(self._socket, self._somebody)

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._socket)
        self._timer = self._loop.call_later(seconds, self._watch)

    def _somebody(self) -> None:
        if self._waited < _PATIENCE and self._tally.others_hold_fewer():
            self._waited += 1
            return self._pause(_PAUSE_S)
        self._waited = 0
        try:
            taken, _ = self._socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return None  # another worker was first, or the client has gone
        except OSError as error:
            log.warning("no_connection_taken", extra={"reason": str(error)})
            return self._pause(_TIRED_S)
        taken.setblocking(False)
        self._tally.add(1)
        coming = self._loop.create_task(self._let_in(taken))
        self._coming.add(coming)
        coming.add_done_callback(self._coming.discard)

    async def _let_in(self, taken: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._factory, taken)
        except OSError:  # it broke off at once
            taken.close()
            self._tally.add(-1)


class Loop(uvloop.Loop):
    """The event loop of one worker among several: uvicorn is told to use it, and gets a Door where it asks for a server."""

    async def create_server(self, protocol_factory: Callable[[], Any], *args: Any, **options: Any) -> Any:
        listening, tallies = options.get("sock"), os.environ.get(TALLIES)
        if listening is None or not tallies or options.get("ssl"):
            return await super().create_server(protocol_factory, *args, **options)
        from khung.api.protocol import PatientProtocol

        PatientProtocol.tally = Tally(Path(tallies))
        listening.setblocking(False)
        listening.listen(options.get("backlog") or 100)
        return Door(self, listening, protocol_factory, PatientProtocol.tally)
