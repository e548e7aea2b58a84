"""The process around the application: uvicorn, several workers, room for many connections.

What lives here: processes, signals, limits. What the application is, app.py knows; what a connection may do, protocol.py.
"""

import os
import resource
import sys

import uvicorn
from fastapi import FastAPI

from khung.api.collector import Collector
from khung.api.doors import TALLIES
from khung.api.protocol import PatientProtocol
from khung.settings import Settings, settings
from khung.stores.scratch import scratch_folder

DRAIN_S = 20  # after SIGTERM, for the requests that were taken
SILENCE_S = (
    30  # of a worker, until it is held for dead: on a busy machine one that begins takes its time to say its first word
)
APPLICATION = "khung.api.server:application"
LOOP = "khung.api.doors:Loop"


def application() -> FastAPI:
    """The application of a worker process: its settings come from the environment."""
    return tuned(settings())


def tuned(config: Settings) -> FastAPI:
    """The application in a process that does nothing else: a search in a thread may keep the event loop waiting for 1 ms, not 5, and
    the garbage collector is kept short."""
    from khung.api.app import create_app

    PatientProtocol.header_timeout_s = config.serve.header_timeout_s
    PatientProtocol.max_connections = config.serve.max_connections
    sys.setswitchinterval(0.001)
    return create_app(config, collector=Collector().install())


def run(config: Settings, *, application: str = APPLICATION) -> None:
    """Serve until a signal. Requests that were taken are answered first, for DRAIN_S at most. `application` names the function that
    makes a worker's application; workers take their settings from the environment."""
    _make_room(config)
    options = {
        "host": config.host,
        "port": config.port,
        "http": PatientProtocol,
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "timeout_graceful_shutdown": DRAIN_S,
        "timeout_worker_healthcheck": SILENCE_S,
        "proxy_headers": bool(config.serve.trusted_proxies),
        "forwarded_allow_ips": config.serve.trusted_proxies,
    }
    if config.serve.workers == 1 and application == APPLICATION:
        uvicorn.run(tuned(config), **options)
        return
    with scratch_folder("metrics") as folder:
        os.environ |= {
            "PROMETHEUS_MULTIPROC_DIR": str(folder),
            TALLIES: str(folder / "connections"),
            "KHUNG_HOST": config.host,
            "KHUNG_PORT": str(config.port),
            "KHUNG_SERVE_WORKERS": str(config.serve.workers),
        }
        uvicorn.run(application, factory=True, workers=config.serve.workers, loop=LOOP, **options)


def _make_room(config: Settings) -> None:
    """As many open files as the system grants, if they are fewer than the connections that may come."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = config.serve.max_connections + 1000
    if soft < wanted and soft != resource.RLIM_INFINITY:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )
