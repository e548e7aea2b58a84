"""The service under load: khung's whole application over real sockets, over invented frames in real stores, no query encoder.

The load generator shares the machine's cores with the server, so beside the rate of the clock stands the CPU that the server took
for each request, and the rate that follows when the server has the cores to itself. Only 127.0.0.1, bounded in count and time.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from urllib.parse import quote

import numpy as np
import psutil
import uvloop

from bench.search_data import OUT, BenchEncoder, open_library, rows
from khung.text import tokens

PAGE = Path(__file__).parent / "SERVING.md"
CORES = os.cpu_count() or 1


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--frames", type=int, default=100_000)
    options.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    options.add_argument("--serve", type=int, default=0, help="be the server on this port")
    asked = options.parse_args()
    if asked.serve:
        return serve(asked.serve, asked.frames)
    open_library(asked.frames)
    sections = uvloop.run(measure(asked.frames, asked.seconds))
    (OUT / f"serving-{asked.frames}.json").write_text(json.dumps(sections, indent=1))
    PAGE.write_text(page(sections, asked.frames))
    print(PAGE.read_text())


# -- the server, in a process of its own


def serve(port: int, frames: int) -> None:
    import uvicorn

    from khung.api.server import PatientProtocol, tuned
    from khung.api.serving import Resident
    from khung.search.engine import Engine
    from khung.settings import Settings

    library = open_library(frames)
    library.close = lambda: None
    engine = Engine(library, BenchEncoder())
    engine.warm()
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home), _env_file=None)
        settings.serve.search_rate, settings.serve.poll_s = "", 3600.0
        app = tuned(settings)

        async def application(scope, receive, send):
            if scope.get("path") == "/bare":
                return await _bare(send)
            await app(scope, receive, send)

        @contextlib.asynccontextmanager
        async def opened(_):
            async with lifespan(app):
                app.state.service.serving._resident = Resident(library, engine)
                yield

        lifespan = app.router.lifespan_context
        app.router.lifespan_context = opened
        uvicorn.run(
            application, port=port, http=PatientProtocol, log_level="warning", access_log=False, limit_concurrency=5000
        )


async def _bare(send: Callable) -> None:
    """The reference: as many bytes as an answer has, from uvicorn alone."""
    headers = [(b"content-length", b"57000"), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"x" * 57_000})


@contextlib.contextmanager
def server(frames: int) -> Iterator[tuple[int, psutil.Process]]:
    port = 18_000 + os.getpid() % 1000
    command = [sys.executable, "-m", "bench.serving", "--serve", str(port), "--frames", str(frames)]
    with open(OUT / "serving.log", "w") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            _wait_for(port, process)
            yield port, psutil.Process(process.pid)
        finally:
            process.terminate()


def _wait_for(port: int, process: subprocess.Popen) -> None:
    import httpx

    while process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"http://127.0.0.1:{port}/ready").status_code == 200:
                return
        time.sleep(0.2)
    raise SystemExit(f"The server did not start: {(OUT / 'serving.log').read_text()[-2000:]}")


# -- the client: as little as a client can do


class Connection(asyncio.Protocol):
    """One keep-alive connection; knows of HTTP what khung's answers need."""

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
            at = self._head.index(b"content-length: ") + 16
            self._left = int(self._head[at : self._head.index(b"\r\n", at)]) + end + 4 - len(self._head)
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
        self._transport.write(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        return self._waiter

    def close(self) -> None:
        self._transport.close()


async def connect(port: int, count: int) -> list[Connection]:
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(Connection, "127.0.0.1", port))[1] for _ in range(count)]


# -- what is asked


def questions(seed: int) -> Iterator[str]:
    """Questions that were never asked before, of three to five words of the collection."""
    words = sorted({w for row in rows() for w in tokens(row[0])})
    chosen = random.Random(seed)
    while True:
        yield "/v1/search?q=" + quote(" ".join(chosen.sample(words, chosen.randint(3, 5))))


def popular() -> list[str]:
    return [f"/v1/search?q={quote(row[2])}" for row in rows()[:50]]


# -- measurements


async def closed(port: int, process: psutil.Process, paths: Iterator[str], clients: int, seconds: float) -> dict:
    """Each client asks as soon as it was answered."""
    walls, statuses, until = [], [], time.perf_counter() + seconds

    async def ask(connection: Connection) -> None:
        while time.perf_counter() < until:
            began = time.perf_counter()
            statuses.append(await connection.get(next(paths)))
            walls.append(1000 * (time.perf_counter() - began))

    connections = await connect(port, clients)
    cpu, began = _cpu(process), time.perf_counter()
    await asyncio.gather(*map(ask, connections))
    took, cpu = time.perf_counter() - began, _cpu(process) - cpu
    for connection in connections:
        connection.close()
    return _told(walls, statuses, took, cpu) | {"clients": clients}


async def overload(port: int, process: psutil.Process, paths: Iterator[str], peak: float, seconds: float) -> dict:
    """Questions come at three times the peak, whether or not the last ones were answered; beside them /health is looked at."""
    connections = await connect(port, 400)
    walls, statuses, health, asking = [], [], [], set()
    every, began = 1 / (3 * peak), time.perf_counter()

    async def ask(connection: Connection) -> None:
        at = time.perf_counter()
        status = await connection.get(next(paths))
        statuses.append(status)
        if status == 200:
            walls.append(1000 * (time.perf_counter() - at))
        if status:
            connections.append(connection)

    watch = asyncio.create_task(_health(port, health, seconds))
    sent = 0
    while (now := time.perf_counter() - began) < seconds:
        while sent * every < now:
            sent += 1
            if connections:
                task = asyncio.create_task(ask(connections.pop()))
                asking.add(task)
                task.add_done_callback(asking.discard)
        await asyncio.sleep(0.002)
    in_time = statuses.count(200)
    await asyncio.gather(*asking)
    await watch
    for connection in connections:
        connection.close()
    return {
        "offered/s": round(sent / seconds),
        "answered/s": round(in_time / seconds, 1),
        "goodput of peak": f"{in_time / seconds / peak:.0%}",
        "turned away": statuses.count(503),
        "errors": sum(status not in (200, 503) for status in statuses),
        "accepted p50 ms": _percentile(walls, 50),
        "accepted p99 ms": _percentile(walls, 99),
        "/health p99 ms": _percentile(health, 99),
    }


async def thousand(port: int, process: psutil.Process, seconds: float) -> dict:
    """A thousand connections stay open, each asking for something that is kept once a second; beside them /health."""
    connections, statuses, health, paths = await connect(port, 1000), [], [], popular()
    until = time.perf_counter() + seconds

    async def ask(connection: Connection) -> None:
        await asyncio.sleep(random.random())
        while time.perf_counter() < until:
            statuses.append(await connection.get(random.choice(paths)))
            await asyncio.sleep(1)

    watch = asyncio.create_task(_health(port, health, seconds))
    await asyncio.gather(*map(ask, connections))
    await watch
    for connection in connections:
        connection.close()
    return {
        "connections": len(connections),
        "requests": len(statuses),
        "errors": sum(status != 200 for status in statuses),
        "/health p50 ms": _percentile(health, 50),
        "/health p99 ms": _percentile(health, 99),
    }


async def _health(port: int, walls: list[float], seconds: float) -> None:
    (connection,) = await connect(port, 1)
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        if await connection.get("/health") != 200:
            walls.append(float("inf"))
        walls.append(1000 * (time.perf_counter() - began))
        await asyncio.sleep(0.02)
    connection.close()


async def measure(frames: int, seconds: float) -> dict[str, list[dict]]:
    with server(frames) as (port, process):
        fresh, known = questions(1), _cycle(popular())
        (warm,) = await connect(port, 1)
        for path in popular():
            await warm.get(path)
        warm.close()
        one = await closed(port, process, fresh, 1, seconds)
        many = await closed(port, process, fresh, 8, seconds)
        kept_one = await closed(port, process, known, 1, seconds / 2)
        kept = await closed(port, process, known, 32, seconds)
        bare = await closed(port, process, _cycle(["/bare"]), 32, seconds / 2)
        health = await closed(port, process, _cycle(["/health"]), 32, seconds / 2)
        crowd = await thousand(port, process, seconds)
        flood = await overload(port, process, fresh, many["per second"], seconds)
        memory = process.memory_info().rss
    return {
        "Requests": [
            {"what": "never asked before, one client"} | one,
            {"what": "never asked before, 8 clients"} | many,
            {"what": "kept, one client"} | kept_one,
            {"what": "kept, 32 clients"} | kept,
            {"what": "reference: /health, 32 clients"} | health,
            {"what": "reference: as many bytes from uvicorn alone, 32 clients"} | bare,
        ],
        "A thousand open connections": [crowd],
        "Three times the peak of questions never asked before": [flood],
        "Memory": [{"resident MiB, mapped files included": round(memory / 2**20)}],
    }


def _cycle(paths: Sequence[str]) -> Iterator[str]:
    while True:
        yield from paths


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _told(walls: list[float], statuses: list[int], took: float, cpu: float) -> dict:
    each = cpu / max(len(walls), 1)
    return {
        "per second": round(len(walls) / took, 1),
        "server CPU ms": round(1000 * each, 3),
        f"per second by CPU on {CORES} cores": round(CORES / each) if each else 0,
        "p50 ms": _percentile(walls, 50),
        "p95 ms": _percentile(walls, 95),
        "p99 ms": _percentile(walls, 99),
        "n": len(walls),
        "errors": sum(status != 200 for status in statuses),
    }


def _percentile(values: list[float], q: float) -> float:
    return float(f"{np.percentile(values, q):.3g}") if values else float("nan")


def page(sections: dict[str, list[dict]], frames: int) -> str:
    lines = [
        "# The service under load",
        "",
        f"`python -m bench serving` makes this page: the whole application over sockets, {frames:,} invented frames in real stores, 50 hits",
        "an answer, the query encoder left out. One server process; the load generator shares the cores with it, so wall times and",
        "“per second” are of half a machine. “By CPU” is what the cores would give if the server had them alone and used them all,",
        "which takes `khung serve --workers N`.",
        "",
        "Goals: fresh p50 ≤ 25 ms, p95 ≤ 100 ms, 500 a second; kept p99 ≤ 25 ms, 5,000 a second; 1,000 connections without an error and",
        "`/health` p99 < 100 ms; goodput ≥ 80 % at three times the peak. A fresh answer is the engine's time ([SEARCH.md](SEARCH.md)) and 2 ms.",
        "",
        f"{date.today()}, {platform.machine()}, {CORES} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}.",
    ]
    for title, table in sections.items():
        columns = list(dict.fromkeys(name for row in table for name in row))
        lines += ["", f"## {title}", "", f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
        lines += [f"| {' | '.join(str(row.get(c, '')) for c in columns)} |" for row in table]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
