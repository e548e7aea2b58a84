"""The preview: a tenth of a new video's keyframes, spread over all of it, embedded and sealed before the rest.

Worth it only where embedding takes long: the keyframes stage invites those videos that it pays for. The frames keep their ids
and the vectors are taken over by the whole, so nothing doubles and nothing is computed twice.
"""

from collections.abc import Iterator, Sequence

import dagster as dg
import numpy as np

from assets.batch import Outcome, each_video, per_video
from assets.checks import vectors_fit
from assets.frames import masters_of
from assets.versions import digest
from khung.records import Keyframe
from khung.settings import Settings
from khung.stores import Ledger
from khung.stores.library import Library
from khung.vision import Embedder
from khung.vision.fallback import embed_each
from khung.vision.load import EMBEDDED_EMBEDDER, choice

SHARE = 10
"""One keyframe in so many."""

FROM_KEYFRAMES_SMALL, FROM_KEYFRAMES_LARGE = 2000, 200
"""About a minute and a half of embedding by the models that come in packages, and by GME on one GPU (bench/PIPELINE.md, docs/how-to/gpu.md)."""


@dg.multi_asset(**per_video("preview", kinds={"ai"}, group="gme_outputs"))
def preview(
    context: dg.AssetExecutionContext,
    ledger: dg.ResourceParam[Ledger],
    library: dg.ResourceParam[Library],
    embedder: dg.ResourceParam[Embedder],
) -> Iterator[dg.AssetCheckResult]:
    """Vectors of a tenth of the keyframes, spread over the whole video, so that a long one can be found before all of it is
    embedded. Only videos with very many keyframes pass here, the others stay “missing”; the whole takes these vectors over."""
    yield from each_video(context, ledger, lambda video_id: embed_preview(video_id, library, embedder))


def embed_preview(video_id: str, library: Library, embedder: Embedder) -> Outcome:
    """Frames that the embedder fails on are left out: they fall back when the whole is embedded. Raises ModelError when all fail."""
    asked, fingerprint = spread(library.keyframes(video_id)), embedder.fingerprint
    found, failures = embed_each(masters_of(library, asked), embedder)
    frames = [asked[position] for position in found.positions]
    if asked and not frames:
        raise next(iter(failures.values()))
    vectors = np.array(found.vectors, np.float32).reshape(-1, embedder.dim)
    vectors_fit(frames, vectors)
    indices = [frame.frame_index for frame in frames]
    library.put_preview(video_id, fingerprint, indices, vectors)
    told = {"vectors": len(vectors), "first_ms": frames[0].pts_ms, "last_ms": frames[-1].pts_ms, "model": fingerprint}
    return Outcome(digest(fingerprint, indices, vectors.tobytes()), told)


def spread(keyframes: Sequence[Keyframe]) -> list[Keyframe]:
    """One keyframe of each ten by time, at least one; the most important of its ten."""
    tens = (keyframes[start : start + SHARE] for start in range(0, len(keyframes), SHARE))
    return [max(ten, key=lambda frame: frame.importance) for ten in tens]


def wants_preview(keyframes: int, settings: Settings) -> bool:
    """Does embedding so many take long enough that people would wait for it?"""
    least = settings.preview_from
    if least is None:
        small = choice(settings).embedder == EMBEDDED_EMBEDDER
        least = FROM_KEYFRAMES_SMALL if small else FROM_KEYFRAMES_LARGE
    return 0 < least <= keyframes
