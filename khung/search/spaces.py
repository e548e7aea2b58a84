"""The vector spaces of one snapshot: the embedder's own, and those of models that stood in for it on some frames.

Each space has its own index, its own encoder and its own scale; vectors of two spaces never meet. A frame lies in exactly one, so
what the spaces find can be laid side by side: the scales have made the cosines comparable (scale.py).
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from khung.errors import KhungError, NotFound, SearchUnavailable, VectorSpaceMismatch
from khung.records import vector_id
from khung.search.fusion import Found
from khung.search.request import SnapshotLike
from khung.search.scale import Scales, measure, measure_few, read_scales
from khung.search.vectors import ALPHA, Part, feedback, mix
from khung.stores import VectorIndex
from khung.vision import Embedder

if TYPE_CHECKING:
    from khung.search.channels import Question

log = logging.getLogger("khung.search")

EncoderOf = Callable[[str], Embedder | None]
"""Fingerprint → the encoder that can ask such vectors. Raises KhungError with the cure; None: there is none."""


@dataclass
class Space:
    """Vectors of one model, the encoder that can ask them (or `why` there is none), and what a cosine means among them."""

    fingerprint: str
    vectors: VectorIndex
    encoder: Embedder | None
    scales: Scales
    why: KhungError | None = None

    def look(self, question: "Question") -> Found:
        """The nearest frames to all that was asked and that this space knows of; none that is as far as strangers are.
        Raises ModelError, VectorSpaceMismatch, and why there is no encoder when one is needed."""
        parts = self._parts(question)
        if not parts:
            return Found.nothing()
        direction, scale = mix(parts)
        scores, ids = self.vectors.search(direction[None], question.depth, allowed=question.allowed)
        found, raw, near = ids[0], scores[0], scale(scores[0])
        keep = (found >= 0) & (near > 0) & (found != (vector_id(question.like) if question.like else -1))
        why = _looks_like(question)
        return Found(found[keep], raw[keep], near[keep], lambda of, _: [why] * len(of))

    def _parts(self, question: "Question") -> list[Part]:
        texts, images = [], []
        if question.event.text:
            texts.append(self._encoder().embed_texts([question.event.text])[0])
        if question.image is not None:
            images.append(self._encoder().embed_images([question.image])[0])
        images += self._stored([question.like] if question.like else [])
        parts = [Part(v, ALPHA, self.scales.text) for v in texts] + [Part(v, ALPHA, self.scales.image) for v in images]
        parts += feedback(self._stored(question.more), [], self.scales.image)
        return parts + feedback([], self._stored(question.less), self.scales.image) if parts else []

    def _encoder(self) -> Embedder:
        if self.why:
            raise self.why.with_traceback(None)
        if self.encoder is None:
            raise SearchUnavailable("There is no query encoder.", cure="Fetch the models: khung models pull")
        if self.encoder.fingerprint != self.fingerprint:
            raise VectorSpaceMismatch(
                f"The query encoder is {self.encoder.fingerprint}, the frames were embedded by {self.fingerprint}.",
                cure="Serve with the model that embedded the library, or embed it again.",
            )
        return self.encoder

    def _stored(self, frame_ids: Sequence[str]) -> list[np.ndarray]:
        """The vectors of those frames that lie in this space."""
        found = []
        for frame_id in frame_ids:
            try:
                found.append(self.vectors.reconstruct(vector_id(frame_id)))
            except NotFound:  # it lies in another space: no direction here
                continue
        return found


def open_spaces(snapshot: SnapshotLike, encoder_of: EncoderOf) -> list[Space]:
    """The embedder's own space first."""
    first = _open(snapshot, snapshot.fingerprint, snapshot.vectors, encoder_of, first=True)
    return [first, *(_open(snapshot, name, index, encoder_of) for name, index in snapshot.others.items())]


def _open(
    snapshot: SnapshotLike, fingerprint: str, vectors: VectorIndex, encoder_of: EncoderOf, *, first: bool = False
) -> Space:
    """With the scale that the snapshot carries, or one that is measured now."""
    carried, gauge = read_scales(snapshot.normalisers, "" if first else fingerprint), measure if first else measure_few
    try:
        encoder = encoder_of(fingerprint)
        fits = encoder is not None and encoder.fingerprint == fingerprint
        return Space(fingerprint, vectors, encoder, carried or gauge(vectors, encoder if fits else None))
    except KhungError as error:
        log.error("encoder_missing", extra={"encoder": fingerprint, "reason": str(error)})
        return Space(fingerprint, vectors, None, carried or gauge(vectors, None), error)


def side_by_side(found: Sequence[Found]) -> Found:
    """What several spaces found, each frame once, as one channel's answer."""
    if len(found) == 1:
        return found[0]
    ids, raw, near = (np.concatenate([getattr(f, name) for f in found]) for name in ("ids", "raw", "normalised"))
    return Found(ids, raw, near, found[0].why if len(found[0].ids) else found[-1].why)


def _looks_like(question: "Question") -> str:
    parts: Sequence[tuple[object, str]] = (
        (question.event.text, "the words"),
        (question.image is not None, "the picture"),
        (question.like, "the frame"),
        (question.more, "what you liked"),
    )
    return "looks like " + " and ".join(name for given, name in parts if given)
