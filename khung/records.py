"""The words of the house as frozen values: Video, Shot, Keyframe, Description, FrameRecord, SealedRecord, Hit.

Half-open ranges; units in names; `pts_ms` is an integer of milliseconds from the first frame's display time.
Nothing here computes more than an identity. What a search makes hundreds of are tuples: they take a fifth of the time to make.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from khung.errors import MediaError

VIDEO_ID = re.compile(r"^[A-Za-z0-9_-]{1,120}$")


def check_video_id(video_id: str) -> str:
    """The id, if it may be a partition key and a folder name; else MediaError `bad_name`."""
    if not VIDEO_ID.fullmatch(video_id):  # `match` would let a final newline pass
        raise MediaError("bad_name", f"“{video_id}” is not a video id.", cure="Use letters, digits, “_” and “-”.")
    return video_id


def frame_id(video_id: str, frame_index: int) -> str:
    return f"{video_id}/{frame_index}"


def vector_id(frame_id: str) -> int:
    """A 63-bit hash of the frame id: the id of its vector in every index, in [0, 2**63)."""
    return int.from_bytes(hashlib.blake2b(frame_id.encode(), digest_size=8).digest(), "big") >> 1


@dataclass(frozen=True, slots=True)
class Video:
    """One source file, probed. Identity is `sha256`; `video_id` is its human name and the partition key."""

    video_id: str
    sha256: str
    source_name: str  # the file's name as it came, for people only
    media_key: str  # where the bytes lie in the Archive
    size_bytes: int
    container: str
    codec: str
    width: int  # as displayed, after rotation
    height: int
    rotation: int  # degrees clockwise: 0, 90, 180, 270
    fps_num: int  # average frame rate as a fraction
    fps_den: int
    vfr: bool
    frame_count: int  # frames decoded, not the container's promise
    duration_ms: int
    has_audio: bool
    sequence_hash: str = ""  # perceptual hashes at 1 fps, hex, 16 digits each
    derived_from: str = ""  # video_id whose results are reused
    derived_offset_ms: int = 0  # add to the other video's times to get this one's
    warnings: tuple[str, ...] = ()  # e.g. "truncated_tail"
    playable: bool = True  # by the usual browsers, as it is; else there may be a copy that is
    preview: bool = False  # sealed with a part of its keyframes only: the others follow

    @property
    def fps(self) -> float:
        return self.fps_num / self.fps_den if self.fps_den else 0.0


@dataclass(frozen=True, slots=True)
class Shot:
    """Frames `[start_frame, end_frame)` between two boundaries. The shots of a video tile it."""

    video_id: str
    shot_index: int
    start_frame: int
    end_frame: int
    start_ms: int
    end_ms: int
    opens_with: str = "start"  # start | cut | gradual: the boundary before the first frame
    detectors: tuple[str, ...] = ()  # who saw that boundary: transnet, content, adaptive
    confidence: float = 1.0  # of that boundary, in [0, 1]
    transition_ms: tuple[int, int] | None = None  # the range of a gradual transition at the start


@dataclass(frozen=True, slots=True)
class Keyframe:
    """A frame chosen to stand for its shot. Scores are in [0, 1]; docs/keyframes.md gives their formulas."""

    video_id: str
    frame_index: int
    pts_ms: int
    shot_index: int
    importance: float
    motion: float
    scene_change: float
    sharpness: float
    phash: int  # 64 bits
    represents: tuple[int, ...] = ()  # frame indices of near-duplicates that were dropped for it

    @property
    def frame_id(self) -> str:
        return frame_id(self.video_id, self.frame_index)


@dataclass(frozen=True, slots=True)
class Region:
    """Something found in a frame. `box` is (left, top, right, bottom) as fractions of the frame, each in [0, 1]."""

    label: str  # a word of a closed English vocabulary
    score: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line of on-screen text, NFC."""

    text: str
    score: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Description:
    """What a Describer says of a frame. `origin` tells people where the sentences come from: `composed` from recognised
    labels, or `generated` by a language model."""

    captions: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # language → sentence
    origin: str = "composed"
    objects: tuple[Region, ...] = ()
    labels: tuple[tuple[str, float], ...] = ()  # image classes with probabilities
    actions: tuple[str, ...] = ()
    emotions: tuple[str, ...] = ()
    colors: tuple[str, ...] = ()
    scene_type: str = "unknown"
    time_of_day: str = "unknown"
    weather: str = "unknown"
    place: str = "unknown"  # indoor | outdoor | unknown
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """All that is known of a keyframe, without its vectors (those lie in the shard by model fingerprint)."""

    keyframe: Keyframe
    shot_start_ms: int
    shot_end_ms: int
    description: Description = field(default_factory=Description)
    screen_text: tuple[TextLine, ...] = ()
    models: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({})
    )  # embedder/describer/reader → fingerprint

    @property
    def frame_id(self) -> str:
        return self.keyframe.frame_id

    @property
    def video_id(self) -> str:
        return self.keyframe.video_id

    @property
    def pts_ms(self) -> int:
        return self.keyframe.pts_ms


class SealedRecord:
    """A FrameRecord as a snapshot holds it: its JSON, as `tables.to_json` writes it, read when somebody asks for the record.

    Of the fifty on a page mostly nobody does: what is shown of a frame is handed on as it stands in its JSON.
    """

    __slots__ = ("_read", "_record", "json")

    def __init__(self, json: bytes, read: Callable[[Iterable[bytes]], list[FrameRecord]]) -> None:
        self.json, self._read = json, read
        self._record: FrameRecord | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SealedRecord) and self.json == other.json

    def __hash__(self) -> int:
        return hash(self.json)

    @property
    def record(self) -> FrameRecord:
        """Raises CorruptError."""
        if self._record is None:
            (self._record,) = self._read([self.json])
        return self._record


class ChannelScore(NamedTuple):
    """What one channel gave a hit: its raw score, the normalised one in [0, 1], its share of the sum, and why in words."""

    raw: float
    normalised: float
    share: float
    why: str = ""


class Hit(NamedTuple):
    """A frame with its score in [0, 1] and the part that each channel gave (`vector`, `text`, `screen_text`, `facets`)."""

    sealed: SealedRecord
    score: float
    channels: Mapping[str, ChannelScore]
    more_in_video: int = 0  # hits of the same video that were collapsed into this page's cap
    chain: tuple["Hit", ...] = ()  # the following steps of an "A then B" hit

    @property
    def record(self) -> FrameRecord:
        """Raises CorruptError."""
        return self.sealed.record
