"""What a shard and a snapshot say of themselves: frozen values, their JSON, and the checksum that each file carries.

A chain holds it together: the pointer names a snapshot, whose id is the hash of its content; it names shards, whose ids are the
hashes of theirs; a shard's manifest names each file with its SHA-256. Nothing here reads a shard's files or moves the pointer.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

from khung.errors import CorruptError, NotFound
from khung.records import FrameRecord, Shot, Video
from khung.stores import tables

SCHEMA_VERSION = 1
"""Raise it when an older khung could misread a shard or a snapshot."""

MANIFEST = "manifest.json"

T = TypeVar("T")


def folder_of(fingerprint: str) -> str:
    """Where in a shard the vectors of another space than the embedder's lie."""
    return f"vectors-{hashlib.sha256(fingerprint.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class SealedFile:
    """One file of a shard, by its path below the shard's folder."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class SpaceRef:
    """A vector space beside the embedder's own: of a model that stood in for it on some frames."""

    fingerprint: str
    dim: int
    frames: int


@dataclass(frozen=True, slots=True)
class ShardManifest:
    """What is sealed in a shard. `shard_id` follows from the content alone; `files` may differ from one sealing to the next."""

    schema_version: int
    shard_id: str
    shard_index: int
    shard_count: int
    embed_fingerprint: str
    dim: int
    models: Mapping[str, str]  # describer, reader, …: fingerprints of the other models
    text_version: str
    videos: Mapping[str, str]  # video_id → digest of what is sealed of it
    frames: int
    index_kind: str  # none (exact only) | sq8 | hnsw | ivf
    recall_at_10: float
    created_at: str
    files: tuple[SealedFile, ...]
    others: tuple[SpaceRef, ...] = ()  # by fingerprint


@dataclass(frozen=True, slots=True)
class ShardRef:
    """A shard as a snapshot names it."""

    shard_id: str
    frames: int


@dataclass(frozen=True, slots=True)
class SnapshotManifest:
    """The shards in service together. `snapshot_id` is the hash of everything but the time."""

    schema_version: int
    snapshot_id: str
    shards: tuple[ShardRef, ...]
    embed_fingerprint: str
    dim: int
    text_version: str
    videos: int
    frames: int
    normalisers: Mapping[str, tuple[float, ...]] = field(default_factory=lambda: MappingProxyType({}))
    created_at: str = ""
    others: tuple[SpaceRef, ...] = ()  # by fingerprint


@dataclass(frozen=True, slots=True, eq=False)
class SpaceVectors:
    """Vectors of some frames of a video in one space: frame indices int64 `(m,)`, `(m, d)` of unit length."""

    frames: np.ndarray
    vectors: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class SealedInput:
    """All of one video that goes into its shard. `vectors` (n, d): one row a record, of unit length; a row of zeros where
    the embedder failed: then the frame is in one of the `others`, by the fingerprint of the model that stood in."""

    video: Video
    shots: Sequence[Shot]
    records: Sequence[FrameRecord]
    vectors: np.ndarray
    others: Mapping[str, SpaceVectors] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def own(self) -> np.ndarray:
        """Which records have a vector of the embedder itself: bool `(n,)`."""
        return np.asarray(self.vectors).any(axis=1) if len(self.records) else np.zeros(0, bool)


def shard_of(video_id: str, count: int) -> int:
    """The shard that a video belongs to, in [0, count): the same on every machine and in every run."""
    return int.from_bytes(hashlib.blake2b(video_id.encode(), digest_size=8).digest(), "big") % count


def digest(parts: Sequence[bytes]) -> str:
    """SHA-256 over the parts, each with its length, so that no two lists of parts look alike."""
    state = hashlib.sha256()
    for part in parts:
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return state.hexdigest()


def content_id(value: Any, *, without: Sequence[str]) -> str:
    """16 hex digits of the hash of a value's fields, some left out; so are `others` where there are none, as ever."""
    left_out = {*without, *([] if value.others else ["others"])}
    plain = {name: getattr(value, name) for name in value.__slots__ if name not in left_out}
    return digest([tables.to_json(plain)])[:16]


_HEAD, _MIDDLE, _END = b'{"content":', b',"sha256":"', b'"}\n'
_TAIL = len(_MIDDLE) + 64 + len(_END)


def encode(value: Any) -> bytes:
    """Canonical JSON with its own checksum: `{"content": …, "sha256": …}`."""
    content = tables.to_json(value)
    return _HEAD + content + _MIDDLE + hashlib.sha256(content).hexdigest().encode() + _END


def decode(data: bytes, cls: type[T], name: str) -> T:
    """The inverse. Raises CorruptError naming the file: damaged, or of another schema version."""
    import orjson

    content = data[len(_HEAD) : -_TAIL]
    if data != _HEAD + content + _MIDDLE + hashlib.sha256(content).hexdigest().encode() + _END:
        raise CorruptError(f"{name} is damaged: its checksum disagrees.")
    plain = orjson.loads(content)
    version = plain.get("schema_version", SCHEMA_VERSION) if isinstance(plain, dict) else SCHEMA_VERSION
    if version > SCHEMA_VERSION:
        raise CorruptError(f"{name} has schema {version}; this khung knows {SCHEMA_VERSION}.", cure="Update khung.")
    if version < SCHEMA_VERSION:
        raise CorruptError(f"{name} has the old schema {version}.", cure="`khung ingest` seals the shards again.")
    return tables.from_plain(plain, cls)


def read(path: Path, cls: type[T]) -> T:
    """Raises NotFound or CorruptError."""
    try:
        return decode(path.read_bytes(), cls, str(path))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"{path} is not there.") from error
