"""The queue of frames that were left without a description or their text, worked off: exactly these are asked for again.

What was made of the others is kept. Frames that are failed on again go on waiting. A video whose notes are of another recipe by now is
left to the stage itself.
"""

import dagster as dg
from pydantic import Field

from assets.batch import POOLS, Batch, Outcome
from assets.failures import raise_failures
from assets.notes import describe_frames, part_described
from assets.recipe import code_versions
from khung.settings import Settings
from khung.stores import Ledger
from khung.stores.library import Library
from khung.vision import Describer, TextReader

STAGE = "descriptions"


class FramesToDescribeAgain(dg.Config):
    """Of which videos."""

    videos: list[str] = Field([], description="names of videos; none: all that have frames without")


@dg.op(pool=POOLS[STAGE])
def describe_frames_again(
    context: dg.OpExecutionContext,
    config: FramesToDescribeAgain,
    ledger: dg.ResourceParam[Ledger],
    library: dg.ResourceParam[Library],
    describer: dg.ResourceParam[Describer],
    reader: dg.ResourceParam[TextReader],
    settings: dg.ResourceParam[Settings],
) -> None:
    """Ask the describer and the reader again for the frames that they failed on: one model load for all of them."""
    version = code_versions(settings)[STAGE]
    entries = ledger.find(stage=STAGE, state="done")
    stale = {entry.video_id for entry in entries if entry.code_version != version}
    wanted = [v for v in part_described(entries) if not config.videos or v in config.videos]
    for video_id in (v for v in wanted if v in stale):
        context.log.info(f"{video_id}: its descriptions are of another recipe; materialise {STAGE} for it.")

    def work(video_id: str) -> Outcome:
        return describe_frames(video_id, library, describer, reader)

    todo = [v for v in wanted if v not in stale]
    raise_failures(STAGE, Batch(context, ledger, STAGE, version).run(todo, work))


@dg.job(description="Ask again for the frames that the describer or the reader of text failed on.")
def describe_again_job() -> None:
    """Named by the nightly schedule, and by people who have mended the cause."""
    describe_frames_again()
