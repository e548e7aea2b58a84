"""The server of the serving benchmark, in processes of its own: khung's whole application as `khung serve` runs it, with the
invented library in service instead of a published snapshot, and beside it an address that answers without khung.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs

import anyio
import psutil

from bench.search_data import OUT, BenchEncoder, open_library
from khung.search.engine import Engine, SearchRequest

_FRAMES, _READY = "KHUNG_BENCH_FRAMES", "KHUNG_BENCH_READY"
BARE, ENGINE = "/bare", "/engine"
_BYTES = 57_000  # what an answer has


def main() -> None:
    from khung.api.server import run
    from khung.settings import settings

    options = argparse.ArgumentParser()
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--workers", type=int, default=1)
    asked = options.parse_args()
    config = settings().model_copy(update={"port": asked.port})
    config.serve = config.serve.model_copy(update={"workers": asked.workers})
    run(config, application="bench.serving_server:application")


def application() -> Callable:
    """The application of one worker."""
    from khung.api.resident import Resident
    from khung.api.server import tuned
    from khung.settings import settings

    library = open_library(int(os.environ[_FRAMES]))
    library.close = lambda: None
    engine = Engine(library, BenchEncoder())
    app = tuned(settings())
    lifespan = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def opened(_):
        async with lifespan(app):
            app.state.service.serving._resident = Resident(library, engine)
            engine.warm()  # last of all, as a published snapshot's is
            (Path(os.environ[_READY]) / str(os.getpid())).touch()
            yield

    app.router.lifespan_context = opened

    async def beside(scope, receive, send):
        if scope.get("path") == BARE:
            return await _bare(send)
        if scope.get("path") == ENGINE:
            return await _alone(engine, scope["query_string"], send)
        await app(scope, receive, send)

    return beside


async def _alone(engine: Engine, query: bytes, send: Callable) -> None:
    """The reference: the engine in a thread of the same process, and nothing of its answer."""
    await anyio.to_thread.run_sync(engine.search, SearchRequest(parse_qs(query.decode())["q"][0]))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def _bare(send: Callable) -> None:
    """The reference: as many bytes as an answer has, from uvicorn alone."""
    headers = [(b"content-length", str(_BYTES).encode()), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"x" * _BYTES})


class Server:
    """A server that runs, with its workers."""

    def __init__(self, port: int, pid: int) -> None:
        self.port = port
        self._processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]

    def cpu_s(self) -> float:
        """CPU seconds of all its processes."""
        times = [process.cpu_times() for process in self._processes]
        return sum(of.user + of.system for of in times)

    def resident_mib(self) -> int:
        """Of the largest process; files that are mapped count, and workers share them."""
        return round(max(process.memory_info().rss for process in self._processes) / 2**20)


@contextlib.contextmanager
def server(frames: int, workers: int = 1) -> Iterator[Server]:
    port = 18_000 + os.getpid() % 1000 + workers
    command = [sys.executable, "-m", "bench.serving_server", "--port", str(port), "--workers", str(workers)]
    with tempfile.TemporaryDirectory() as home, open(OUT / "serving.log", "w") as log:
        ready = Path(home) / "ready"
        ready.mkdir()
        environment = {
            _FRAMES: str(frames),
            _READY: str(ready),
            "KHUNG_HOME": home,
            "KHUNG_SERVE_SEARCH_RATE": "",
            "KHUNG_SERVE_POLL_S": "3600",
        }
        with subprocess.Popen(command, stderr=log, env=os.environ | environment) as process:
            try:
                _wait_for(lambda: len(list(ready.iterdir())) == workers, process)
                yield Server(port, process.pid)
            finally:
                process.terminate()


def _wait_for(ready: Callable[[], bool], process: subprocess.Popen) -> None:
    while not ready():
        if process.poll() is not None:
            raise SystemExit(f"The server did not start: {(OUT / 'serving.log').read_text()[-2000:]}")
        time.sleep(0.2)
    time.sleep(1)  # the sockets are listened to a moment later


if __name__ == "__main__":
    main()
