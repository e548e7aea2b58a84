"""The queue of frames that had to fall back, worked off: the embedder tries exactly these again.

What passes goes from the fallback's space into the embedder's own; the shard and a snapshot follow by their sensors. What fails
again keeps the vector that it has. A video whose vectors are of another recipe by now is left to the stage itself.
"""

import dagster as dg
from pydantic import Field

from assets.batch import POOLS
from assets.vectors import embed_again, queued
from khung.settings import Settings
from khung.stores import Ledger
from khung.stores.library import Library
from khung.vision import Embedder
from orchestration.frame_queues import work_off

STAGE = "embeddings"


class FramesToEmbedAgain(dg.Config):
    """Of which videos."""

    videos: list[str] = Field([], description="names of videos; none: all that have frames waiting")


@dg.op(pool=POOLS[STAGE])
def embed_queued_frames(
    context: dg.OpExecutionContext,
    config: FramesToEmbedAgain,
    ledger: dg.ResourceParam[Ledger],
    library: dg.ResourceParam[Library],
    embedder: dg.ResourceParam[Embedder],
    settings: dg.ResourceParam[Settings],
) -> None:
    """Try the embedder again on the frames that are in the fallback's space: one model load for all of them."""
    work_off(
        context,
        STAGE,
        ledger,
        settings,
        queued,
        config.videos,
        lambda video_id: embed_again(video_id, library, embedder),
    )


@dg.job(description="Embed the frames again that had to fall back to another model's vector space.")
def embed_again_job() -> None:
    """Named by the nightly schedule, and by people who have mended the cause."""
    embed_queued_frames()
