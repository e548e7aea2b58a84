"""How the service is: health, readiness, status, metrics. For machines first."""

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from khung.api.problems import documented
from khung.api.schemas import HealthOut, ReadyOut, StatusOut
from khung.api.service import Service, service_of
from khung.errors import SearchUnavailable

router = APIRouter(tags=["system"])
Asked = Annotated[Service, Depends(service_of)]


@router.get("/health")
async def health() -> HealthOut:
    """The process answers. Touches nothing else."""
    return HealthOut()


@router.get("/ready", responses=documented(503))
def ready(service: Asked) -> ReadyOut:
    """A snapshot is in service; before that 503."""
    with service.serving.borrow() as here:
        return ReadyOut(snapshot=here.snapshot.id)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics() -> Response:
    """Prometheus metrics. Labels hold no query, path or id."""
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@router.get("/v1/status", responses=documented(503))
def status(service: Asked) -> StatusOut:
    """What is in service and what the pipeline has done."""
    videos = frames = 0
    snapshot = None
    try:
        with service.serving.borrow() as here:
            snapshot, frames, videos = here.snapshot.id, len(here.snapshot.records), len(here.snapshot.records.videos())
    except SearchUnavailable:
        pass  # nothing published yet is a state to tell, not an error
    return StatusOut(
        snapshot=snapshot,
        videos=videos,
        frames=frames,
        stages=service.ledger.counts(),
        rejected=service.serving.rejected,
        embedder=service.serving.fingerprint,
    )
