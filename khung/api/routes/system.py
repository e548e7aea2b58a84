"""How the service is: health, readiness, status, metrics. For machines first."""

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from khung.api.problems import documented
from khung.api.schemas import HealthOut, MoveOut, ReadyOut, SnapshotsOut, StatusOut
from khung.api.service import Service, service_of
from khung.errors import SearchUnavailable
from khung.metrics import exposition

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
    return Response(exposition(), media_type=CONTENT_TYPE_LATEST)


@router.get("/v1/snapshots", responses=documented(503))
def snapshots(service: Asked) -> SnapshotsOut:
    """Every move of the pointer, the newest first, and what this process serves."""
    moves = [
        MoveOut(version=m.version, snapshot=m.snapshot_id, at=m.at, reason=m.reason) for m in service.serving.history()
    ]
    return SnapshotsOut(
        serving=service.serving.snapshot_id,
        current=moves[-1].snapshot if moves else None,
        rejected=service.serving.rejected,
        moves=moves[::-1],
    )


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
