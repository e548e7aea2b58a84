"""What is asked of the engine and what it answers: frozen values. How it answers is `engine.py`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from khung.errors import QueryError
from khung.records import FrameRecord, Hit
from khung.search.parsed import ParsedQuery
from khung.stores import FrameFilter, RecordStore, TextIndex, VectorIndex

MAX_LIMIT = 500
MAX_DEPTH = 10_000


@dataclass(frozen=True)
class SearchRequest:
    """A question: words, a picture (RGB uint8), a known frame, or several of them; `then` are further steps in words.

    `more` and `less` are frame ids judged by the searcher. `per_video` caps a video's hits on the page; None: no cap.
    """

    text: str = ""
    image: np.ndarray | None = None
    like: str = ""
    where: FrameFilter = field(default_factory=FrameFilter)
    limit: int = 50
    offset: int = 0
    per_video: int | None = None
    then: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    less: tuple[str, ...] = ()
    preset: str = "balanced"
    facets: bool = True  # count the facets of what was found

    def check(self) -> None:
        """Raises QueryError when a number is out of bounds."""
        if not 1 <= self.limit <= MAX_LIMIT or self.offset < 0 or self.offset + self.limit > MAX_DEPTH:
            raise QueryError(
                f"Hits {self.offset} to {self.offset + self.limit} cannot be given.",
                cure=f"Ask for 1 to {MAX_LIMIT} at once, up to {MAX_DEPTH}.",
            )
        if self.per_video is not None and self.per_video < 1:
            raise QueryError("per_video must be at least 1.")


@dataclass(frozen=True, slots=True)
class Degraded:
    """A channel that did not answer. `reason` is short and from a bounded set: `timeout` or an error's class name."""

    channel: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class SearchResult:
    """The page of hits, best first; `total` frames matched, as far as the channels looked."""

    hits: list[Hit]
    parsed: ParsedQuery
    degraded: list[Degraded]
    snapshot_id: str
    total: int
    facets: Mapping[str, Mapping[str, int]]
    took_ms: float
    did_you_mean: str = ""  # the question with the marks that it most likely lacks; only once the engine is warm


class Listener(Protocol):
    """Hears of a search while it is under way, in the thread that searches. What it raises ends the search."""

    def parsed(self, parsed: ParsedQuery) -> None:
        """How the question was understood, before anything is looked for."""
        ...

    def partial(self, channels: Sequence[str], result: SearchResult) -> None:
        """The page as it would be with the channels that have answered so far; others are still looking."""
        ...


class SnapshotLike(Protocol):
    """What the engine needs of an open snapshot."""

    id: str
    records: RecordStore
    text: TextIndex
    vectors: VectorIndex
    fingerprint: str  # of the model that made the vectors
    others: Mapping[str, VectorIndex]  # vectors of models that stood in for it on some frames, by their fingerprint
    normalisers: Mapping[str, object]


class Reranker(Protocol):
    """A second look at the best hits, with a model too slow for all. Off unless given to the engine."""

    depth: int

    def rerank(self, parsed: ParsedQuery, records: Sequence[FrameRecord], scores: Sequence[float]) -> Sequence[float]:
        """New scores in [0, 1] for the records, in their order. Raises ModelError."""
        ...
