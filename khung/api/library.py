"""The library as people see it: the ledger's stages of every video folded into one state."""

from collections.abc import Iterable

from khung.api.schemas import LibraryVideoOut, StageOut
from khung.api.service import Service
from khung.errors import SearchUnavailable
from khung.stores import STAGES, LedgerEntry


def library_videos(service: Service) -> list[LibraryVideoOut]:
    """Every video that the ledger or the snapshot knows, by id."""
    by_video: dict[str, list[LedgerEntry]] = {}
    for entry in service.ledger.find():
        by_video.setdefault(entry.video_id, []).append(entry)
    searchable = _searchable(service)
    return [_video(name, by_video.get(name, []), name in searchable) for name in sorted(by_video.keys() | searchable)]


def _searchable(service: Service) -> set[str]:
    try:
        with service.serving.borrow() as here:
            return {video.video_id for video in here.snapshot.records.videos()}
    except SearchUnavailable:
        return set()


def _video(video_id: str, entries: Iterable[LedgerEntry], searchable: bool) -> LibraryVideoOut:
    by_stage = {entry.stage: entry for entry in entries}
    stages = [_stage(by_stage[stage]) for stage in STAGES if stage in by_stage]
    return LibraryVideoOut(video_id=video_id, state=_state({s.state for s in stages}, searchable), stages=stages)


def _state(states: set[str], searchable: bool) -> str:
    """What a person wants to know first: a failure, then whether it can be found, then what it waits for."""
    for state in ("failed", "linked"):
        if state in states:
            return state
    if searchable:
        return "searchable"
    return "running" if "running" in states else "waiting"


def _stage(entry: LedgerEntry) -> StageOut:
    return StageOut(
        stage=entry.stage, state=entry.state, reason=entry.reason, detail=entry.detail, updated_at=entry.updated_at
    )
