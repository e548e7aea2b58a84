"""Questions as they cross the HTTP door, with their limits and examples. Unknown fields are refused."""

import unicodedata
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, FailFast, Field, model_validator

from khung.search.fusion import PRESETS
from khung.search.query import MAX_CHARS

MAX_QUERY = MAX_CHARS
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
    if text.isprintable():  # most are
        return text.strip()
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

_T = TypeVar("_T")
Several = Annotated[tuple[_T, ...], FailFast()]
"""Immutable, so that a question can be a key. Of twenty thousand wrong ones only the first is told."""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class WhereIn(Strict):
    """Hard conditions; none passes everything."""

    video: Several[VideoId] = Field((), max_length=200, description="only these videos")
    not_video: Several[VideoId] = Field((), max_length=200, description="never these videos")
    from_ms: Millis | None = Field(None, description="at or after this time of the video")
    to_ms: Millis | None = Field(None, description="before this time of the video")
    object: Several[Label] = Field((), max_length=20, description="all of these were recognised", examples=[["person"]])
    not_object: Several[Label] = Field((), max_length=20, description="none of these was recognised")
    action: Several[Label] = Field((), max_length=20)
    place: Several[Label] = Field((), max_length=20)
    scene_type: Several[Label] = Field((), max_length=20)
    time_of_day: Several[Label] = Field((), max_length=20)
    weather: Several[Label] = Field((), max_length=20)
    color: Several[Label] = Field((), max_length=20)
    emotion: Several[Label] = Field((), max_length=20)


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
    then: Several[Words] = Field((), max_length=MAX_STEPS, description="what follows later in the same video, in order")
    like: FrameId | Literal[""] = Field("", description="frames that look like this one")
    image: Annotated[str, Field(pattern=IMAGE_ID)] | Literal[""] = Field(
        "", description="an image sent to /v1/query-images"
    )
    more: Several[FrameId] = Field((), max_length=20, description="feedback: more like these frames")
    less: Several[FrameId] = Field((), max_length=20, description="feedback: less like these frames")
    preset: Literal[*PRESETS] = Field(
        "balanced",
        description="how the channels' scores become one: `balanced` (what was learned from judged topics, where there is such a "
        "thing, else `fixed` weights), `proposal` (weights that shift with the question), `rrf` (by ranks alone), or one channel only",
    )
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

    more: Several[FrameId] = Field(min_length=1, max_length=20, description="more like these frames")
