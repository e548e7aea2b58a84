"""The service under load: khung's whole application over real sockets, over invented frames in real stores, no query encoder.

The load generator shares the machine's cores with the server, so beside the rate of the clock stand the CPU that the server and the
client took for each request, and the rate that follows when the server has the cores to itself. Bounded in count and time.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from urllib.parse import quote

import numpy as np
import uvloop

from bench.search_data import OUT, open_library, rows
from bench.serving_client import Connection, connect, cycle, hammer
from bench.serving_server import BARE, ENGINE, Server, server
from khung.text import tokens

PAGE = Path(__file__).parent / "SERVING.md"
CORES = os.cpu_count() or 1


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--frames", type=int, default=100_000)
    options.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    asked = options.parse_args()
    open_library(asked.frames)
    sections = uvloop.run(measure(asked.frames, asked.seconds))
    (OUT / f"serving-{asked.frames}.json").write_text(json.dumps(sections, indent=1))
    PAGE.write_text(page(sections, asked.frames))
    print(PAGE.read_text())


# -- what is asked


def questions(seed: int, at: str = "/v1/search") -> Iterator[str]:
    """Questions that were never asked before, of three to five words of the collection."""
    words = sorted({w for row in rows() for w in tokens(row[0])})
    chosen = random.Random(seed)
    while True:
        yield f"{at}?q=" + quote(" ".join(chosen.sample(words, chosen.randint(3, 5))))


def popular() -> list[str]:
    return [f"/v1/search?q={quote(row[2])}" for row in rows()[:50]]


# -- measurements


def closed(of: Server, paths: Iterator[str], clients: int, seconds: float) -> dict:
    """Each client asks as soon as it was answered."""
    cpu = of.cpu_s()
    told = hammer(of.port, paths, clients, seconds)
    each = (of.cpu_s() - cpu) / max(told.count, 1)
    return {
        "clients": clients,
        "per second": round(told.count / told.seconds, 1),
        "server CPU ms": round(1000 * each, 3),
        "client CPU ms": round(1000 * told.client_cpu / max(told.count, 1), 3),
        f"per second by CPU on {CORES} cores": round(CORES / each) if each else 0,
        "p50 ms": _percentile(told.walls, 50),
        "p95 ms": _percentile(told.walls, 95),
        "p99 ms": _percentile(told.walls, 99),
        "n": told.count,
        "errors": told.errors,
    }


async def overload(port: int, paths: Iterator[str], peak: float, seconds: float) -> dict:
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
        "turned away": statuses.count(503),
        "errors": sum(status not in (200, 503) for status in statuses),
        "accepted p50 ms": _percentile(walls, 50),
        "accepted p99 ms": _percentile(walls, 99),
        "/health p99 ms": _percentile(health, 99),
    }


async def flooded(of: Server, paths: Iterator[str], seconds: float) -> dict:
    """The overload between two looks at the peak: what else the machine does changes by the minute, and would pass for goodput or its lack."""
    before = closed(of, paths, 8, seconds / 2)["per second"]
    told = await overload(of.port, paths, before, seconds)
    peak = (before + closed(of, paths, 8, seconds / 2)["per second"]) / 2
    return told | {"goodput of peak": f"{told['answered/s'] / peak:.0%}"}


async def thousand(port: int, seconds: float) -> dict:
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
    requests, memory, yardstick = [], [], Yardstick()
    with server(frames) as of:
        requests += requests_of(of, "one worker", seconds, yardstick)
        crowd = await thousand(of.port, seconds)
        flood = await flooded(of, questions(3), seconds)
        memory.append({"workers": 1, "resident MiB, mapped files included": of.resident_mib()})
    with server(frames, workers=2) as of:
        requests += requests_of(of, "two workers", seconds, yardstick)
        memory.append({"workers": 2, "resident MiB, mapped files included": of.resident_mib()})
    return {
        "Requests": requests,
        "A thousand open connections": [crowd],
        "Three times the peak of questions never asked before": [flood],
        "Memory of a worker": memory,
    }


class Yardstick:
    """How fast the machine is at the moment: exact search of random vectors by FAISS in one thread, of which it is known what it took
    where the goals were set."""

    THERE = 29.9

    def __init__(self) -> None:
        import faiss

        faiss.omp_set_num_threads(1)
        vectors = np.random.default_rng(0).standard_normal((200_000, 768), np.float32)
        self._index, self._queries = faiss.IndexFlatIP(768), vectors[:15].copy()
        self._index.add(vectors)

    def ms(self) -> float:
        """CPU, by query; the median of some."""
        taken = []
        for query in self._queries:
            began = time.process_time()
            self._index.search(query[None], 10)
            taken.append(1000 * (time.process_time() - began))
        return float(np.median(taken))


FRESH, KEPT = "never asked before", "kept"


def requests_of(of: Server, which: str, seconds: float, yardstick: Yardstick) -> list[dict]:
    """Each kind of request, by few clients and by many, between two looks at the yardstick."""
    fresh, known, one = questions(len(which)), cycle(popular()), which == "one worker"
    hammer(of.port, cycle(popular()), 16, seconds / 2)  # every worker has them
    kinds = [(f"the first of those {FRESH}", fresh, 8, seconds)]  # while what frequent words give is fetched
    kinds += [(FRESH, fresh, 1 if one else 2, seconds), (FRESH, fresh, 8, seconds)]
    kinds += (
        [("reference: the engine alone", questions(7, ENGINE), 1, seconds), (KEPT, known, 1, seconds / 2)]
        if one
        else []
    )
    kinds += [(KEPT, known, 32, seconds), ("reference: /health", cycle(["/health"]), 32, seconds / 2)]
    kinds += [("reference: as many bytes from uvicorn alone", cycle([BARE]), 32, seconds / 2)]
    found, before = [], yardstick.ms()
    for what, paths, clients, s in kinds:
        row = {"what": f"{what}, {which}"} | closed(of, paths, clients, s)
        after = yardstick.ms()
        found.append(row | {"FAISS ms": _rounded((before + after) / 2)})
        before = after
    return found


def _percentile(values: list[float], q: float) -> float:
    return _rounded(np.percentile(values, q)) if values else float("nan")


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def page(sections: dict[str, list[dict]], frames: int) -> str:
    lines = [
        "# The service under load",
        "",
        f"`python -m bench serving` makes this page: the whole application over sockets, {frames:,} invented frames in real stores, 50 hits",
        "an answer, the query encoder left out. The load generator (raw sockets and epoll in one process, not pipelined) shares the cores with",
        "the server: “client CPU” is what it took of them. “By CPU” is what the cores would give if the server had them alone and used",
        "them all, which takes `khung serve --workers N`.",
        "",
        "Goals: fresh p50 ≤ 25 ms, p95 ≤ 100 ms, 500 a second; kept p99 ≤ 25 ms, 5,000 a second; 1,000 connections without an error and",
        "`/health` p99 < 100 ms; goodput ≥ 80 % at three times the peak. A fresh answer is the engine's time ([SEARCH.md](SEARCH.md)) and what",
        "stands between the rows “never asked before” and “the engine alone”, which runs in the same process. “The first” of them are slower: what",
        "frequent words give each frame is fetched when they are first asked for (docs/decisions/0084).",
        "",
        "The machine is a virtual one, whose speed changes by a third within minutes. “FAISS ms” is what an exact search of 200,000 vectors of 768",
        f"dimensions took one thread just before and after, in the mean; where the goals were set it took {Yardstick.THERE}.",
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
