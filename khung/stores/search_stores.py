"""Protocols of what a search asks: the records, the text and the vectors of one snapshot, read-only, and a cache that servers share.

What the pipeline works with is pipeline_stores.py's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from khung.records import FrameRecord, SealedRecord, Shot, Video


@dataclass(frozen=True, slots=True)
class FrameFilter:
    """Hard conditions, joined by AND; inside one field by OR, but `objects` by AND. Empty means no condition."""

    videos: tuple[str, ...] = ()
    not_videos: tuple[str, ...] = ()
    from_ms: int | None = None  # pts_ms >= from_ms
    to_ms: int | None = None  # pts_ms < to_ms
    objects: tuple[str, ...] = ()
    not_objects: tuple[str, ...] = ()
    facets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # field name of Description → values

    def __bool__(self) -> bool:
        return bool(
            self.videos
            or self.not_videos
            or self.from_ms is not None
            or self.to_ms is not None
            or self.objects
            or self.not_objects
            or self.facets
        )


@dataclass(frozen=True, slots=True)
class Timeline:
    """The frames of one snapshot as columns, by position: what ranking needs of a frame without reading its record."""

    vector_ids: np.ndarray  # int64 (n,)
    video_index: np.ndarray  # int32 (n,), into `videos`; ascending
    frame_index: np.ndarray  # int32 (n,), ascending within a video
    pts_ms: np.ndarray  # int32 (n,)
    shot_index: np.ndarray  # int32 (n,)
    phash: np.ndarray  # uint64 (n,)
    videos: tuple[str, ...]  # video ids, sorted
    duration_ms: np.ndarray  # int32 (len(videos),)


class RecordStore(Protocol):
    """The frames' records of one snapshot, read-only. Frames have dense positions `0..n-1`, the order of (video_id, frame_index)."""

    def __len__(self) -> int: ...
    def frame(self, frame_id: str) -> FrameRecord:
        """Raises NotFound."""
        ...

    def frames(self, frame_ids: Sequence[str]) -> list[FrameRecord]:
        """In the order given; raises NotFound if one is missing."""
        ...

    def at(self, positions: Sequence[int]) -> list[FrameRecord]:
        """Those at some positions of the timeline, in the order given."""
        ...

    def sealed(self, positions: Sequence[int]) -> list[SealedRecord]:
        """The same, not read yet."""
        ...

    def frames_of(self, video_id: str) -> list[FrameRecord]:
        """By time."""
        ...

    def shots(self, video_id: str) -> list[Shot]:
        """By time; empty for a video that is not there."""
        ...

    def videos(self) -> list[Video]: ...
    def video(self, video_id: str) -> Video:
        """Raises NotFound."""
        ...

    def allowed(self, where: FrameFilter) -> np.ndarray:
        """int64 vector ids of the frames that pass, in any order."""
        ...

    def timeline(self) -> Timeline:
        """All frames as columns; read once and kept by the caller."""
        ...

    def facet_counts(self, vector_ids: np.ndarray | None = None) -> dict[str, dict[str, int]]:
        """field → value → frames, over all frames or those given."""
        ...

    def facet_counts_at(self, positions: np.ndarray) -> dict[str, dict[str, int]]:
        """The same of the frames at some positions of the timeline, each once."""
        ...


@dataclass(frozen=True, slots=True)
class TextClause:
    """One weighted term in one field, e.g. `TextClause("vi_key", "đương2", 2.0)`."""

    field: str
    term: str
    boost: float = 1.0


@dataclass(frozen=True, slots=True)
class TextHit:
    vector_id: int
    score: float
    terms: tuple[str, ...] = ()  # the query's terms that this document matched


class TextIndex(Protocol):
    """BM25 (k1 = 1.2, b = .75, with the factor k1 + 1) over pre-tokenised fields (khung.text.fields). Both engines get the
    same tokens, so ranking agrees. Document counts and average lengths are those of the whole snapshot: a score never depends on
    how frames fell into shards."""

    def __len__(self) -> int:
        """Documents, deleted ones not counted."""
        ...

    def warm(self) -> None:
        """Do beforehand, in seconds, what makes questions cheaper; answers stay the same. Safe while others ask, and may be left out."""
        ...

    def document_counts(self, clauses: Sequence[TextClause]) -> list[int]:
        """In how many documents each clause's term stands, over the whole snapshot."""
        ...

    def search(self, clauses: Sequence[TextClause], *, limit: int, allowed: np.ndarray | None = None) -> list[TextHit]:
        """Best first, ties by vector id. `allowed`: sorted int64 vector ids, or None for all. Saying which terms matched reads
        every document found."""
        ...

    def best(
        self, clauses: Sequence[TextClause], *, limit: int, allowed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """`(scores, ids)` of the same hits in the same order, as columns and without terms: for ranking thousands."""
        ...

    def holding(self, clauses: Sequence[TextClause], vector_ids: np.ndarray) -> list[np.ndarray] | None:
        """By clause, which of the documents (int64 ids) hold its term (bool); None where to know it takes reading them. Ids that are not here
        hold nothing."""
        ...

    def facets(self, clauses: Sequence[TextClause], *, allowed: np.ndarray | None = None) -> dict[str, dict[str, int]]:
        """name → value → documents, over every document that a clause finds (all documents without clauses); the most frequent
        value first, ties by value. `allowed` as in `search`."""
        ...

    def highlight(self, clauses: Sequence[TextClause], vector_ids: Sequence[int]) -> list[dict[str, tuple[int, ...]]]:
        """For each document: field → the places of the words that the clauses found, ascending; only the fields of
        `khung.text.fields.WORD_FIELDS`, whose places are those of the caption's tokens. Raises NotFound."""
        ...

    def suggest(self, field: str, prefix: str, *, limit: int) -> list[tuple[str, int]]:
        """The terms of a field that begin with `prefix`, with their documents; the most frequent first, ties by term."""
        ...


class VectorIndex(Protocol):
    """Inner product over unit vectors, larger is better. Ids, not positions."""

    dim: int

    def __len__(self) -> int: ...
    def warm(self) -> None:
        """Do beforehand, in seconds, what makes questions cheaper; answers are at least as good. Safe while others ask, and may be left
        out."""
        ...

    def search(
        self, queries: np.ndarray, k: int, *, allowed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """`(scores, ids)`, each `(n, k)`; missing places have id -1 and score -inf."""
        ...

    def ids(self) -> np.ndarray:
        """Every id, int64, ascending."""
        ...

    def reconstruct(self, vector_id: int) -> np.ndarray:
        """The stored vector `(dim,)` float32. Raises NotFound."""
        ...


class QueryCache(Protocol):
    """Bytes by key with a time to live, shared by many servers; what one process keeps for itself is khung.api's. Any failure is a
    miss."""

    def get(self, key: str) -> bytes | None: ...
    def put(self, key: str, value: bytes, *, ttl_s: float) -> None: ...
