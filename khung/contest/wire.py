"""What DRES answers, as frozen values (DRES Client API 2.0.4, its OpenAPI document).

Unknown fields are ignored: a newer server may add some. A field that may be missing may also be null: DRES writes both.
What does not live here: requests; those are written where they are made (submission, logs).
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel

VerdictStatus = Literal["CORRECT", "WRONG", "INDETERMINATE", "UNDECIDABLE"]


class _Reply(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class User(_Reply):
    """`ApiUser`. Every field may be missing."""

    id: str | None = None
    username: str | None = None
    role: Literal["ANYONE", "VIEWER", "PARTICIPANT", "JUDGE", "ADMIN"] | None = None
    session_id: Annotated[str, StringConstraints(pattern=r"^[!-:<-~]{1,500}$")] | None = None  # fits into a cookie


class TaskInfo(_Reply):
    """`ApiClientTaskTemplateInfo`. `duration` in seconds."""

    name: str
    task_group: str
    task_type: str
    duration: int


class Evaluation(_Reply):
    """`ApiClientEvaluationInfo`: one contest run."""

    id: str
    name: str
    type: Literal["SYNCHRONOUS", "ASYNCHRONOUS", "NON_INTERACTIVE"]
    status: Literal["CREATED", "ACTIVE", "TERMINATED"]
    template_description: str | None = None
    teams: tuple[str, ...]
    task_templates: tuple[TaskInfo, ...]


class State(_Reply):
    """`ApiEvaluationState`. Times in seconds (DRES divides its milliseconds by 1000)."""

    evaluation_id: str
    evaluation_status: Literal["CREATED", "ACTIVE", "TERMINATED"]
    task_id: str | None = None
    task_status: Literal["NO_TASK", "CREATED", "PREPARING", "RUNNING", "ENDED", "IGNORED"]
    time_left: int
    time_elapsed: int


class Verdict(_Reply):
    """`SuccessfulSubmissionsStatus`. INDETERMINATE: taken, a judge will decide. UNDECIDABLE: the server cannot decide."""

    status: bool
    submission: VerdictStatus
    description: str


class Status(_Reply):
    """`ErrorStatus` and `SuccessStatus`."""

    status: bool
    description: str


class ServerTime(_Reply):
    """`CurrentTime`: milliseconds since 1970."""

    time_stamp: int
