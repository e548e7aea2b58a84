"""What crosses the HTTP door: questions as pydantic models with their limits, answers as models or plain dataclasses, with examples.

Unknown fields are refused. Turning records into these is khung.api.present; nothing here computes.
"""

import unicodedata
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

MAX_QUERY = 512
MAX_STEPS = 5  # after the first: six events in all
MAX_LIMIT = 200
MAX_DEPTH = 1000
MAX_MS = 2**40

FACET_FIELDS = {  # the door's name → the field of Description
    "object": "objects",
    "action": "actions",
    "place": "place",
    "scene_type": "scene_type",
    "time_of_day": "time_of_day",
    "weather": "weather",
    "color": "colors",
    "emotion": "emotions",
}

VIDEO_ID = r"^[A-Za-z0-9_-]{1,120}$"
FRAME_ID = r"^[A-Za-z0-9_-]{1,120}/[0-9]{1,9}$"
IMAGE_ID = r"^[0-9a-f]{32}$"
SOMETHING = r"[^\s\x00-\x1f\x7f-\x9f]"  # what `clean` leaves
CURSOR = r"^[A-Za-z0-9_.-]*$"


def clean(text: str) -> str:
    """NFC, control characters as spaces, no blanks at the ends."""
    text = unicodedata.normalize("NFC", text)
    return "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in text).strip()


def filled(text: str) -> str:
    """`clean`, and something must be left."""
    if not (text := clean(text)):
        raise ValueError("Nothing is written.")
    return text


Words = Annotated[str, Field(max_length=MAX_QUERY), AfterValidator(clean)]
VideoId = Annotated[str, Field(pattern=VIDEO_ID, examples=["googlework_short"])]
FrameId = Annotated[str, Field(pattern=FRAME_ID, examples=["googlework_short/120"])]
FrameIndex = Annotated[int, Field(ge=0, le=2**31 - 1, examples=[120])]
Label = Annotated[str, Field(min_length=1, max_length=64, pattern=SOMETHING), AfterValidator(filled)]
Millis = Annotated[int, Field(ge=0, le=MAX_MS)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class WhereIn(Strict):
    """Hard conditions; none passes everything."""

    video: list[VideoId] = Field([], max_length=200, description="only these videos")
    not_video: list[VideoId] = Field([], max_length=200, description="never these videos")
    from_ms: Millis | None = Field(None, description="at or after this time of the video")
    to_ms: Millis | None = Field(None, description="before this time of the video")
    object: list[Label] = Field([], max_length=20, description="all of these were recognised", examples=[["person"]])
    not_object: list[Label] = Field([], max_length=20, description="none of these was recognised")
    action: list[Label] = Field([], max_length=20)
    place: list[Label] = Field([], max_length=20)
    scene_type: list[Label] = Field([], max_length=20)
    time_of_day: list[Label] = Field([], max_length=20)
    weather: list[Label] = Field([], max_length=20)
    color: list[Label] = Field([], max_length=20)
    emotion: list[Label] = Field([], max_length=20)


class SearchIn(WhereIn):
    """A question. Words, a frame, an image or a filter is needed; the rest narrows it down."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"q": "người đi bộ trên phố", "limit": 20},
                {"q": "a street at night", "then": ["people in an office"], "per_video": 3},
                {"like": "googlework_short/120", "not_video": ["nasa_13013"]},
            ]
        },
    )

    q: Words = Field("", description="Vietnamese, with or without marks, or English", examples=["người đi bộ trên phố"])
    then: list[Words] = Field([], max_length=MAX_STEPS, description="what follows later in the same video, in order")
    like: FrameId | Literal[""] = Field("", description="frames that look like this one")
    image: Annotated[str, Field(pattern=IMAGE_ID)] | Literal[""] = Field(
        "", description="an image sent to /v1/query-images"
    )
    more: list[FrameId] = Field([], max_length=20, description="feedback: more like these frames")
    less: list[FrameId] = Field([], max_length=20, description="feedback: less like these frames")
    limit: int = Field(50, ge=1, le=MAX_LIMIT)
    offset: int = Field(0, ge=0, le=MAX_DEPTH)
    per_video: int | None = Field(None, ge=1, le=MAX_LIMIT, description="at most so many hits of one video")
    cursor: Annotated[str, Field(max_length=400, pattern=CURSOR)] = Field(
        "", description="`next` of an answer to the same question: the page after it, from the same snapshot"
    )

    @model_validator(mode="after")
    def _asks_something(self) -> "SearchIn":
        asked = ("q", "then", "like", "image", "more", "video", "object", *FACET_FIELDS)
        if not any(getattr(self, name) for name in asked):
            raise ValueError("Ask with words (q), a frame (like), an image (image), feedback (more) or a filter.")
        if self.from_ms is not None and self.to_ms is not None and self.from_ms >= self.to_ms:
            raise ValueError("from_ms must be before to_ms.")
        return self


class FeedbackIn(SearchIn):
    """A question with judged frames."""

    more: list[FrameId] = Field(min_length=1, max_length=20, description="more like these frames")


# The answers of a search are plain dataclasses: built a thousand times a second, written by orjson without another look.


@dataclass
class RegionOut:
    """Something that was recognised."""

    label: Annotated[str, Field(examples=["person"])]
    score: Annotated[float, Field(examples=[0.91])]
    box: Annotated[
        tuple[float, float, float, float], Field(description="left, top, right, bottom as fractions of the frame")
    ]


@dataclass
class TextLineOut:
    """A line that stands on the screen."""

    text: Annotated[str, Field(examples=["THỜI SỰ"])]
    score: float
    box: tuple[float, float, float, float]


@dataclass
class ShotOut:
    """The shot that a keyframe stands for."""

    index: int
    start_ms: int
    end_ms: int


@dataclass
class ImagesOut:
    """Addresses of the frame's pictures; they never change their bytes."""

    thumb: Annotated[str, Field(examples=["/v1/images/googlework_short/120/thumb.webp?v=8f0c"])]
    display: str
    avif: str


@dataclass
class FrameOut:
    """A keyframe and all that is known of it."""

    id: Annotated[str, Field(examples=["googlework_short/120"])]
    video_id: Annotated[str, Field(examples=["googlework_short"])]
    frame_index: Annotated[int, Field(examples=[120])]
    pts_ms: Annotated[int, Field(description="milliseconds from the start of the video", examples=[5005])]
    timecode: Annotated[str, Field(examples=["0:05.005"])]
    shot: ShotOut
    captions: Annotated[
        dict[str, str], Field(description="language → sentence", examples=[{"vi": "Người đi bộ trên phố."}])
    ]
    caption_origin: Annotated[
        str, Field(description="`composed` from recognised things or `generated` by a language model")
    ]
    objects: list[RegionOut]
    actions: list[str]
    emotions: list[str]
    colors: list[str]
    scene_type: str
    time_of_day: str
    weather: str
    place: str
    screen_text: list[TextLineOut]
    importance: float
    images: ImagesOut
    media: Annotated[
        str, Field(description="the video at this moment", examples=["/v1/videos/googlework_short/media#t=5.005"])
    ]


@dataclass
class ChannelOut:
    """What one channel gave a hit."""

    raw: float
    normalised: Annotated[float, Field(description="in [0, 1]")]
    share: Annotated[float, Field(description="its part of the hit's score")]
    why: str


@dataclass
class HitOut:
    """A frame that was found, and why."""

    frame: FrameOut
    score: Annotated[float, Field(description="in [0, 1]")]
    channels: dict[str, ChannelOut]
    more_in_video: Annotated[int, Field(description="hits of the same video beyond per_video")]
    chain: Annotated[list["HitOut"], Field(description="the following THEN-steps")] = field(default_factory=list)


@dataclass
class DegradedOut:
    """A channel that could not answer; the result is without it."""

    channel: Annotated[str, Field(examples=["vector"])]
    reason: str


@dataclass
class SearchOut:
    """A page of what was found."""

    hits: list[HitOut]
    total: Annotated[int, Field(description="frames that matched, as far as the channels looked")]
    facets: Annotated[dict[str, dict[str, int]], Field(description="field → value → frames")]
    parsed: Annotated[dict[str, object], Field(description="how the question was understood")]
    degraded: list[DegradedOut]
    snapshot: str
    took_ms: float
    did_you_mean: Annotated[str, Field(description="the question with the marks that it most likely lacks")] = ""
    next: Annotated[
        str, Field(description="cursor of the next page, from the same snapshot; empty on the last one")
    ] = ""


class SuggestOut(BaseModel):
    did_you_mean: str = Field(description="the words with the marks that they most likely lack; empty: as they are")
    alternatives: list[str] = Field(description="narrower questions, when a word may mean two things")


class FacetsOut(BaseModel):
    facets: dict[str, dict[str, int]] = Field(description="field → value → frames, the most frequent first")
    frames: int = Field(description="frames that were counted")
    snapshot: str


class NeighboursOut(BaseModel):
    """The keyframes around one, by time."""

    before: list[FrameOut]
    frame: FrameOut
    after: list[FrameOut]


class VideoOut(BaseModel):
    id: str = Field(examples=["googlework_short"])
    source_name: str = Field(examples=["Google at work.mp4"])
    duration_ms: int
    width: int
    height: int
    fps: float
    codec: str
    container: str
    has_audio: bool
    playable: bool = Field(description="whether browsers commonly play what `media` gives")
    preview: bool = Field(description="it can be found by a part of its keyframes only: the others follow")
    frame_count: int
    keyframes: int
    poster: str = Field(description="the thumbnail of a keyframe in its middle")
    derived_from: str
    warnings: list[str]
    media: str = Field(
        description="for a player: the file itself, or the copy that was made because browsers do not play it"
    )
    original: str = Field(description="the file as it was ingested")


class VideosOut(BaseModel):
    videos: list[VideoOut]
    total: int
    snapshot: str


class VideoDetailOut(BaseModel):
    video: VideoOut
    frames: list[FrameOut]
    total_frames: int
    snapshot: str


class QueryImageOut(BaseModel):
    image: str = Field(description="give it to /v1/search as `image`", examples=["0123456789abcdef0123456789abcdef"])
    width: int
    height: int


class StageOut(BaseModel):
    """One video at one stage of the pipeline."""

    stage: str
    state: str = Field(examples=["done"])
    reason: str
    detail: str
    updated_at: str


class LibraryVideoOut(BaseModel):
    video_id: str
    state: str = Field(
        description="searchable | preview (by a part of its frames) | running | waiting | failed | linked"
    )
    stages: list[StageOut]


class LibraryOut(BaseModel):
    videos: list[LibraryVideoOut]
    inbox: list[str] = Field(description="files that wait to be taken")


class UploadOut(BaseModel):
    name: str = Field(description="the file's name in the inbox", examples=["Phố cổ.mp4"])


class UploadStatusOut(BaseModel):
    """Where an uploaded file stands."""

    name: str
    state: str = Field(description="received | waiting | running | preview | searchable | failed | linked")
    video_id: str = Field(description="the video it became; empty until the pipeline has taken it")
    stages: list[StageOut] = []


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
