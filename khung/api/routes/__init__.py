"""The routes, a file a subject. Each is thin: take the checked request, ask a room below, present the answer."""

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts


def build(app: FastAPI) -> None:
    """Make now what FastAPI makes of included routes in the first request that comes, so that nobody waits for it."""
    for _ in iter_route_contexts(app.routes):
        pass
