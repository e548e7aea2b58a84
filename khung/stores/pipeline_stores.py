"""Protocols of what the pipeline works with: the archive of media and intermediates, and the ledger of every video at every stage.

What a search asks is search_stores.py's.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol


class Archive(Protocol):
    """Media and per-video intermediates under slash-separated keys. A key is either wholly there or not at all."""

    def put_bytes(self, key: str, data: bytes, *, content_type: str = "application/octet-stream") -> None:
        """Raises StoreError when the archive cannot be written to."""
        ...

    def put_file(self, key: str, path: Path, *, content_type: str = "application/octet-stream") -> None:
        """A copy. Raises SourceUnreadable when the file cannot be read, another StoreError when the archive cannot be written to."""
        ...

    def get_bytes(self, key: str) -> bytes:
        """Raises NotFound."""
        ...

    def open(self, key: str, *, offset: int = 0) -> BinaryIO:
        """A stream from `offset` on. Raises NotFound."""
        ...

    def local_path(self, key: str) -> Path:
        """A local file with the bytes (the file itself, or a cached copy): read-only. Raises NotFound."""
        ...

    def size(self, key: str) -> int | None:
        """Bytes, or None when the key is not there."""
        ...

    def keys(self, prefix: str) -> Iterator[str]: ...
    def delete(self, key: str) -> None:
        """No error when it is not there."""
        ...

    def tidy(self, *, min_age_s: float = 86_400.0) -> int:
        """Take away what writers left half-written that died so long ago; how many files."""
        ...


STAGES = ("videos", "shots", "keyframes", "embeddings", "descriptions", "shard_indices")
"""What every video passes, in the order of work; embeddings and descriptions do not wait for one another."""

BY_INVITATION = ("preview", "playable_copies")
"""Stages for those videos alone that gain by them: an earlier stage writes their first line. What fails here spoils no video."""

ALL_STAGES = (*STAGES[:3], "preview", *STAGES[3:], "playable_copies")
"""What the ledger knows of a video, in the order of work."""

MAX_ATTEMPTS = 3
"""A video whose run died this often at a stage is left for people: it may be what kills the runs."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """The state of one video at one stage."""

    video_id: str
    stage: str  # one of ALL_STAGES
    state: str  # waiting | running | done | failed | linked
    reason: str = ""  # MediaError.reason or an error's class name; of a waiting line: waiting.PUT_BACK
    detail: str = ""  # a sentence for people
    attempt: int = 0
    code_version: str = ""
    fingerprint: str = ""  # of the stage's output: the sealed shards are compared by it
    updated_at: str = ""  # ISO 8601, UTC


class Ledger(Protocol):
    """What happened to every video at every stage. The truth; sensors only read it. Safe for many processes."""

    def claim(self, sha256: str, source_name: str, video_id: str) -> tuple[str, str]:
        """Register a file's content once. Returns `(video_id, linked_to)`: a content that is already known under another
        name is recorded as `linked` with the first one's id; a name that is taken by another content gets a suffix."""
        ...

    def claimed(self, names: Collection[str]) -> set[str]:
        """Those under which a file was registered: as the name that it had, or as a video's id."""
        ...

    def put(self, entries: Iterable[LedgerEntry]) -> None:
        """Insert or replace by (video_id, stage); `updated_at` is set here."""
        ...

    def get(self, video_id: str) -> dict[str, LedgerEntry]:
        """By stage."""
        ...

    def find(
        self, *, stage: str | None = None, state: str | None = None, videos: Collection[str] | None = None
    ) -> list[LedgerEntry]:
        """By video and stage."""
        ...

    def counts(self) -> dict[str, dict[str, int]]:
        """stage → state → videos."""
        ...

    def states(self) -> dict[str, frozenset[str]]:
        """Every video → the states of its stages but for those by invitation. Folded where the lines are: a library of
        25,000 videos has 200,000 of them."""
        ...

    def mark(self) -> str:
        """Another one after any change but one of the same moment: much cheaper than reading what it marks."""
        ...

    def forget(self, video_id: str) -> None: ...
