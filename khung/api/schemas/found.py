"""What a search gives. A page of hits is not made of these but written to their letter, by khung.api.written."""

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import BaseModel, Field


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


class QueryImageOut(BaseModel):
    image: str = Field(description="give it to /v1/search as `image`", examples=["0123456789abcdef0123456789abcdef"])
    width: int
    height: int
