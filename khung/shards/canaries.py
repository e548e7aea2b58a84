"""Questions sealed with their answers: asked again wherever a shard is to go into service.

They find what a checksum cannot: a library of another version that reads the same bytes otherwise. Recall is measured by
vectors_faiss; the queries of people belong to khung.search.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from khung.errors import CorruptError
from khung.records import FrameRecord, vector_id
from khung.shards import manifest
from khung.stores import TextClause, TextIndex, VectorIndex

CANARIES = "canaries.json"
_EACH = 8
_TOP = 5


@dataclass(frozen=True, slots=True)
class Canaries:
    """Frames, and what each found when it was sealed: by its vector, and by the words of its caption."""

    frames: tuple[int, ...]  # vector ids
    scores: tuple[tuple[float, ...], ...]  # the best scores that each one's vector found; ids could swap in a tie
    text: tuple[tuple[str, ...], ...]  # the words of each one's caption by key; empty when it has none
    found: tuple[tuple[int, ...], ...]  # the ids that those words found first


def choose(records: Sequence[FrameRecord], words: Sequence[str], vectors: VectorIndex, text: TextIndex) -> Canaries:
    """At most eight frames spread over the shard; `words` is each record's `vi_key` field, the indexes are fresh."""
    places = np.unique(np.linspace(0, len(records) - 1, _EACH).astype(int)) if records else []
    chosen = [tuple(words[i].split()) for i in places]
    frames = [vector_id(records[i].frame_id) for i in places]
    return Canaries(
        frames=tuple(frames),
        scores=tuple(_near(vectors, frame) for frame in frames),
        text=tuple(chosen),
        found=tuple(_ask(text, terms) for terms in chosen),
    )


def check(folder: Path, vectors: VectorIndex, text: TextIndex) -> None:
    """Ask again. Raises CorruptError for the first canary that does not answer as it was sealed."""
    canaries = manifest.read(folder / CANARIES, Canaries)
    for frame, scores, terms, found in zip(
        canaries.frames, canaries.scores, canaries.text, canaries.found, strict=True
    ):
        if not np.allclose(_near(vectors, frame), scores, atol=1e-3):
            raise CorruptError(f"{folder.name}: the vector {frame} has other neighbours than when sealed.")
        if _ask(text, terms) != found:
            raise CorruptError(f"{folder.name}: the words “{' '.join(terms)}” find other frames than when sealed.")


def _near(vectors: VectorIndex, frame: int) -> tuple[float, ...]:
    scores, _ = vectors.search(vectors.reconstruct(frame)[None], _TOP)
    return tuple(round(float(score), 6) for score in scores[0] if score > -2)  # missing places are −∞


def _ask(text: TextIndex, terms: Sequence[str]) -> tuple[int, ...]:
    clauses = [TextClause("vi_key", term) for term in dict.fromkeys(terms)]
    return tuple(hit.vector_id for hit in text.search(clauses, limit=_TOP))
