"""Videos, frames around a frame, and files on their way in, as they cross the HTTP door."""

from pydantic import BaseModel, Field

from khung.api.schemas.found import FrameOut


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
    total: int = Field(description="videos that were asked for, on all pages")
    counts: dict[str, int] = Field(description="of the whole library, by state")
    inbox: list[str] = Field(description="files that wait to be taken")


class UploadOut(BaseModel):
    name: str = Field(description="the file's name in the inbox", examples=["Phố cổ.mp4"])


class UploadStatusOut(BaseModel):
    """Where an uploaded file stands."""

    name: str
    state: str = Field(description="received | waiting | running | preview | searchable | failed | linked")
    video_id: str = Field(description="the video it became; empty until the pipeline has taken it")
    stages: list[StageOut] = []
