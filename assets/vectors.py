"""The vectors of one video: made, or made again for the frames that had to fall back.

Each frame has one vector, in the embedder's space or, where it failed, in the fallback's own; the two are kept apart under their
fingerprints. The frames in the second wait: the ledger says so, and `embed_again` tries the embedder on exactly these. What a run has made is
kept every minute and when it breaks off, and the next one goes on from there.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from assets.batch import Outcome
from assets.checks import vectors_fit
from assets.failures import kept_if_broken_off
from assets.frames import borrowed, masters_of
from assets.strain import strain_of, told_of
from assets.versions import digest
from khung.errors import CorruptError, ModelError, NotFound
from khung.records import Keyframe
from khung.stores import LedgerEntry
from khung.stores.library import EMBEDDINGS_BEGUN, PREVIEW, Library, StandIns
from khung.vision import Embedder
from khung.vision.fallback import Embedded, SpaceVectors, embed_each, embed_or_fall_back

STOOD_IN = "stood_in"
"""The ledger's reason for a video that is done but has frames in the fallback's space."""

KEPT_EVERY_S = 60.0
"""A large embedder needs ten minutes for a video of an hour."""


def embed_frames(video_id: str, library: Library, embedder: Embedder, fallback: Embedder | None) -> Outcome:
    """All keyframes, but for what a copy borrows. Raises ModelError when a frame finds a place in neither space."""
    frames, fingerprint = library.keyframes(video_id), embedder.fingerprint
    known = borrowed(video_id, frames, library, lambda v: dict(zip(*library.embeddings(v, fingerprint), strict=True)))
    name = f"{fingerprint} {digest(frames)}"  # of the draft: what was begun over other keyframes is not used
    begun = _made_before(video_id, frames, name, library, EMBEDDINGS_BEGUN)
    early = known | _made_before(video_id, frames, fingerprint, library, PREVIEW) | begun
    fresh = [frame for frame in frames if frame.frame_index not in early]
    made, strained = Made(fingerprint, embedder.dim, early), strain_of(embedder)
    draft = _Draft(video_id, library, name, [frame.frame_index for frame in fresh], begun)
    with kept_if_broken_off(draft.keep):
        found = embed_or_fall_back(masters_of(library, fresh), embedder, fallback, draft.keep_now_and_then)
        if found.lost:
            raise ModelError(
                f"Frame {fresh[found.lost[0]].frame_index}: {found.reasons[found.lost[0]]}",
                cure=found.cure or "Set KHUNG_FALLBACK_NAME to a model that stands in for such frames.",
            )
    made.take(draft.indices, found)
    told = {"borrowed": len(known), "kept_from_before": len(begun), **told_of(strain_of(embedder) - strained)}
    outcome = made.keep(video_id, frames, library, told)
    draft.forget()
    return outcome


def _made_before(
    video_id: str, frames: Sequence[Keyframe], name: str, library: Library, stem: str
) -> dict[int, np.ndarray]:
    """Frame index → vector, of those frames that the preview, or a run that broke off, has embedded; empty without one."""
    wanted = {frame.frame_index for frame in frames}
    try:
        indices, vectors = library.embeddings(video_id, name, stem)
    except (NotFound, CorruptError):  # it is made again, and nothing depends on it
        return {}
    return {index: vector for index, vector in zip(indices.tolist(), vectors, strict=True) if index in wanted}


@dataclass
class _Draft:
    """The vectors of a video so far, in the library. Who makes all of a video within a minute leaves none."""

    video_id: str
    library: Library
    name: str
    indices: Sequence[int]  # of the frames that are being embedded
    begun: Mapping[int, np.ndarray]  # by the runs before
    first: SpaceVectors | None = None
    written: int = 0
    kept_at: float = field(default_factory=time.monotonic)

    def keep_now_and_then(self, first: SpaceVectors) -> None:
        self.first = first
        if time.monotonic() - self.kept_at >= KEPT_EVERY_S:
            self.keep()

    def forget(self) -> None:
        if self.begun or self.written:
            self.library.delete_embeddings(self.video_id, self.name, EMBEDDINGS_BEGUN)

    def keep(self) -> None:
        if self.first is None or len(self.first.positions) == self.written:
            return
        fresh = {self.indices[p]: v for p, v in zip(self.first.positions, self.first.vectors, strict=True)}
        vectors = self.begun | fresh
        rows = np.array(list(vectors.values()))
        self.library.put_embeddings(self.video_id, self.name, list(vectors), rows, EMBEDDINGS_BEGUN)
        self.written, self.kept_at = len(fresh), time.monotonic()


def embed_again(video_id: str, library: Library, embedder: Embedder) -> Outcome:
    """Only the frames that wait. Those that fail again stay where they are."""
    frames, fingerprint = library.keyframes(video_id), embedder.fingerprint
    made = Made(fingerprint, embedder.dim, dict(zip(*library.embeddings(video_id, fingerprint), strict=True)))
    old = library.stand_ins(video_id, fingerprint)
    before = dict(zip(old.frames.tolist(), zip(old.vectors, old.reasons, strict=True), strict=True)) if old else {}
    waiting = [frame for frame in frames if frame.frame_index in before]
    found, reasons = embed_each(masters_of(library, waiting), embedder)
    indices = [frame.frame_index for frame in waiting]
    made.first |= {indices[p]: v for p, v in zip(found.positions, found.vectors, strict=True)}
    made.second |= {indices[p]: before[indices[p]][0] for p in reasons}
    made.reasons |= {indices[p]: error.message for p, error in reasons.items()}
    made.second_fingerprint = old.fingerprint if old else ""
    again = {"embedded_again": len(waiting) - len(made.second), "failed_again": len(made.second)}
    return made.keep(video_id, frames, library, again)


def queued(entries: Sequence[LedgerEntry]) -> list[str]:
    """The videos, of the entries of `embeddings`, that have frames to embed again."""
    return sorted(entry.video_id for entry in entries if entry.state == "done" and entry.reason == STOOD_IN)


@dataclass
class Made:
    """Vectors by frame index, in the embedder's space and in the one that stands in for it."""

    fingerprint: str
    dim: int
    first: dict[int, np.ndarray]
    second_fingerprint: str = ""
    second: dict[int, np.ndarray] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)

    def take(self, part: Sequence[int], found: Embedded) -> None:
        """`part`: the frame indices of the images that were embedded."""
        self.first |= {part[p]: v for p, v in zip(found.first.positions, found.first.vectors, strict=True)}
        if found.second:
            self.second_fingerprint = found.second.fingerprint
            self.second |= {part[p]: v for p, v in zip(found.second.positions, found.second.vectors, strict=True)}
        self.reasons |= {part[p]: reason for p, reason in found.reasons.items()}

    def keep(self, video_id: str, frames: Sequence[Keyframe], library: Library, told: Mapping[str, object]) -> Outcome:
        """Check, store, and tell. The stand-ins go first: who reads the vectors must find what stands in for the rest."""
        indices = [frame.frame_index for frame in frames if frame.frame_index in self.first]
        vectors = np.array([self.first[index] for index in indices], np.float32).reshape(-1, self.dim)
        stand_ins = self._stand_ins()
        vectors_fit(frames, vectors, stand_ins.vectors if stand_ins else None)
        library.put_stand_ins(video_id, self.fingerprint, stand_ins)
        library.put_embeddings(video_id, self.fingerprint, indices, vectors)
        told = {"vectors": len(vectors), **told, "dimensions": self.dim, "model": self.fingerprint}
        parts = (self.fingerprint, indices, vectors.tobytes())
        if stand_ins is None:
            return Outcome(digest(*parts), told)
        parts += (stand_ins.fingerprint, stand_ins.frames.tolist(), stand_ins.vectors.tobytes())
        return Outcome(
            digest(*parts), told | _told(stand_ins), STOOD_IN, _said(stand_ins, len(frames), self.fingerprint)
        )

    def _stand_ins(self) -> StandIns | None:
        if not self.second:
            return None
        frames = sorted(self.second)
        vectors = np.array([self.second[frame] for frame in frames], np.float32)
        return StandIns(
            self.second_fingerprint, np.array(frames, np.int64), vectors, tuple(self.reasons[f] for f in frames)
        )


def _told(stand_ins: StandIns) -> dict[str, object]:
    named = [f"{frame}: {reason}" for frame, reason in zip(stand_ins.frames, stand_ins.reasons, strict=True)]
    return {
        "stand_ins": len(named),
        "stand_in_model": stand_ins.fingerprint,
        "waiting_to_be_embedded_again": "; ".join(named[:20]) + (" …" if len(named) > 20 else ""),
    }


def _said(stand_ins: StandIns, frames: int, fingerprint: str) -> str:
    """For the ledger and `khung status`."""
    named = ", ".join(map(str, stand_ins.frames[:5])) + (" …" if len(stand_ins.frames) > 5 else "")
    first, second = (name.split("@")[0] for name in (fingerprint, stand_ins.fingerprint))
    return f"{len(stand_ins.frames)} of {frames} frames have vectors of {second} and wait for {first}: {named} ({stand_ins.reasons[0]})"
