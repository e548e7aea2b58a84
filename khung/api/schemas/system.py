"""How the service is, and the contest's door, as they cross HTTP."""

from typing import Literal

from pydantic import BaseModel, Field


class StatusOut(BaseModel):
    """What the kitchen has done and what is in service."""

    snapshot: str | None
    videos: int
    frames: int
    stages: dict[str, dict[str, int]] = Field(description="stage → state → videos")
    rejected: str = Field("", description="why the newest snapshot was refused, when it was")
    embedder: str = Field(description="fingerprint of the query encoder; empty when it could not be loaded")


class MoveOut(BaseModel):
    """From `at` on, `snapshot` was in service."""

    version: int
    snapshot: str
    at: str
    reason: str = Field(description="publish | rollback")


class SnapshotsOut(BaseModel):
    serving: str | None = Field(description="what this process answers from")
    current: str | None = Field(description="where the pointer is")
    rejected: str = Field(description="why the newest snapshot was refused, when it was")
    moves: list[MoveOut]


class HealthOut(BaseModel):
    status: Literal["ok"] = "ok"


class ReadyOut(BaseModel):
    status: Literal["ready"] = "ready"
    snapshot: str


class SeatOut(BaseModel):
    """An operator at the contest."""

    username: str
    evaluation_id: str = Field(description="the chosen contest run, or empty")


class EvaluationOut(BaseModel):
    id: str
    name: str
    status: str


class TaskOut(BaseModel):
    key: str
    name: str
    group: str
    type: str
    duration_s: int
    status: str = Field(description="empty where the organisers hide it")
    left_s: int | None
    elapsed_s: int | None


class EntryOut(BaseModel):
    """An answer of the team's list."""

    id: int
    kind: str
    item_name: str
    video_id: str
    frames: list[int]
    times_ms: list[int]
    text: str
    by: str
    sent_by: str
    state: str = Field(description="proposed | sending | sent | refused | unknown")
    verdict: str = Field(description="CORRECT | WRONG | INDETERMINATE | UNDECIDABLE, or empty")
    message: str


class ContestNowOut(BaseModel):
    username: str
    evaluation_id: str
    rules: str
    task: TaskOut | None = None
    entries: list[EntryOut] = []


class NoticeOut(BaseModel):
    code: str
    message: str


class DraftOut(BaseModel):
    """What would be sent, for a person to compare first."""

    kind: str
    item_name: str
    frames: list[int]
    times_ms: list[int]
    answer: dict[str, str | int] = Field(description="exactly what the server gets")
    task: str
    notices: list[NoticeOut]
