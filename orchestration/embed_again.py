"""The queue of frames that had to fall back, worked off: the embedder tries exactly these again.

What passes goes from the fallback's space into the embedder's own; the shard and a snapshot follow by their sensors. What fails
again keeps the vector that it has. A video whose vectors are of another recipe by now is left to the stage itself.
"""

import dagster as dg
from pydantic import Field

from assets.batch import POOLS, Batch, Outcome
from assets.failures import raise_failures
from assets.recipe import code_versions
from assets.vectors import embed_again, queued
from khung.settings import Settings
from khung.stores import Ledger
from khung.stores.library import Library
from khung.vision import Embedder

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
    version = code_versions(settings)[STAGE]
    entries = ledger.find(stage=STAGE, state="done")
    stale = {entry.video_id for entry in entries if entry.code_version != version}
    wanted = [v for v in queued(entries) if not config.videos or v in config.videos]
    for video_id in (v for v in wanted if v in stale):
        context.log.info(f"{video_id}: its vectors are of another recipe; materialise {STAGE} for it.")

    def work(video_id: str) -> Outcome:
        return embed_again(video_id, library, embedder)

    todo = [v for v in wanted if v not in stale]
    raise_failures(STAGE, Batch(context, ledger, STAGE, version).run(todo, work))


@dg.job(description="Embed the frames again that had to fall back to another model's vector space.")
def embed_again_job() -> None:
    """Named by the nightly schedule, and by people who have mended the cause."""
    embed_queued_frames()
