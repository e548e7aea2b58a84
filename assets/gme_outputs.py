"""What the models say of the keyframes: vectors, and descriptions with the on-screen text.

Two assets, because they are run again for different reasons and a video can be found by its vectors before it is described.
Each loads its model once a run, for all the videos of the run. What a re-encoded copy shows is not asked again.
"""

from collections.abc import Iterator

import dagster as dg

from assets.batch import each_video, per_video
from assets.notes import describe_frames
from assets.vectors import embed_frames
from khung.stores import Ledger
from khung.stores.library import Library
from khung.vision import Describer, Embedder, TextReader


@dg.multi_asset(**per_video("embeddings", kinds={"ai"}, group="gme_outputs"))
def embeddings(
    context: dg.AssetExecutionContext,
    ledger: dg.ResourceParam[Ledger],
    library: dg.ResourceParam[Library],
    embedder: dg.ResourceParam[Embedder],
    fallback: dg.ResourceParam[Embedder | None],
) -> Iterator[dg.AssetCheckResult]:
    """A vector of unit length for each keyframe, in the space of the embedder that the fingerprint names. A frame that it fails
    on gets one in the fallback's own space, and waits to be embedded again."""
    yield from each_video(context, ledger, lambda video_id: embed_frames(video_id, library, embedder, fallback))


@dg.multi_asset(**per_video("descriptions", kinds={"ai"}, group="gme_outputs"))
def descriptions(
    context: dg.AssetExecutionContext,
    ledger: dg.ResourceParam[Ledger],
    library: dg.ResourceParam[Library],
    describer: dg.ResourceParam[Describer],
    reader: dg.ResourceParam[TextReader],
) -> Iterator[dg.AssetCheckResult]:
    """What each keyframe shows, in Vietnamese and English, its structured fields and the text on the screen. A frame that the
    describer fails on stays without, and is named."""
    yield from each_video(context, ledger, lambda video_id: describe_frames(video_id, library, describer, reader))
