"""The assembly of the service: what is opened at the start, what runs beside the requests, which routes there are."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import anyio
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

import khung
from khung import metrics
from khung.api import logs, problems, routes
from khung.api.access import Access, describe_access
from khung.api.collector import Collector
from khung.api.contest import Booth
from khung.api.guard import Guard
from khung.api.routes import contest, library, login, media, pages, search, system
from khung.api.service import Service
from khung.api.static import Static
from khung.settings import Settings
from khung.web.render import STATIC

if TYPE_CHECKING:
    from khung.vision import Embedder

log = logging.getLogger("khung.api")

FORM = 2**16  # bytes that a form adds around its files


def create_app(
    settings: Settings, *, embedder: "Embedder | None" = None, collector: Collector | None = None
) -> FastAPI:
    """The ASGI application. Each snapshot gets the query encoder of its own vectors; `embedder` is one that is there already.
    `collector`: of a process that does nothing else."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        logs.configure()
        service = app.state.service = Service.of(settings, embedder)
        app.state.access = Access(settings, service.signer)
        await anyio.to_thread.run_sync(service.inbox.forget_broken_off)
        await anyio.to_thread.run_sync(service.serving.refresh)
        booth = app.state.booth = Booth(settings) if settings.contest.server else None
        watcher = asyncio.create_task(_watch(service, app.state.collector))
        try:
            yield
        finally:
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher
            if booth:
                await booth.aclose()
            service.close()
            metrics.leave()

    app = FastAPI(
        title="khung",
        summary="Find the moment in a video library, asked in Vietnamese or English.",
        version=khung.__version__,
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own pages load scripts from elsewhere; ours is at /docs
        redoc_url=None,
        redirect_slashes=False,  # it would send people to whatever name stands in their Host header
        telemetry={"tracing": False, "metrics": False, "logs": False},  # khung.metrics and the guard's log line
        openapi_url="/v1/openapi.json" if settings.serve.api_docs else None,
        separate_input_output_schemas=False,
    )
    problems.install(app)
    image_body, video_body = settings.serve.max_image_bytes + FORM, settings.serve.max_upload_bytes + FORM
    app.include_router(search.router, max_body_size=image_body)
    app.include_router(library.router, max_body_size=video_body)
    app.include_router(contest.router, max_body_size=FORM)
    app.include_router(media.router, max_body_size=0)
    app.include_router(system.router, max_body_size=0)
    app.include_router(login.router, max_body_size=FORM)
    app.include_router(pages.router, max_body_size=video_body)
    app.mount("/static", Static(directory=STATIC), name="static")
    app.add_middleware(Guard)
    app.state.error_page, app.state.collector = pages.problem_page, collector
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    routes.build(app)
    return app


async def _watch(service: Service, collector: Collector | None) -> None:
    """Look around for as long as the service lives: who stopped at the first error would serve an old snapshot for ever."""
    while True:
        await asyncio.sleep(service.settings.serve.poll_s)
        try:
            await _look_around(service, collector)
        except Exception:
            log.exception("watch_failed")


async def _look_around(service: Service, collector: Collector | None) -> None:
    """Follow the snapshot pointer, and tidy up when there is nothing else to do."""
    if await anyio.to_thread.run_sync(service.serving.refresh):
        await service.rewarm()
    await anyio.to_thread.run_sync(service.serving.sweep)
    if collector and not service.desk.in_flight:
        collector.look_at_everything()


def _openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's description with the Problem schema that every error answer points to."""
    if app.openapi_schema is None:
        app.openapi_schema = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            routes=app.routes,
            separate_input_output_schemas=False,
        )
        schemas = app.openapi_schema.setdefault("components", {}).setdefault("schemas", {})
        schemas["FieldProblem"] = problems.FieldProblem.model_json_schema()
        schemas["Problem"] = problems.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas["Problem"].pop("$defs", None)
        describe_access(app.openapi_schema)
    return app.openapi_schema
