"""The queue of frames that were left without a description or their text, worked off: exactly these are asked for again.

What was made of the others is kept. Frames that are failed on again go on waiting. A video whose notes are of another recipe by now is
left to the stage itself.
"""

import dagster as dg
from pydantic import Field

from assets.batch import POOLS
from assets.notes import describe_frames, part_described
from khung.settings import Settings
from khung.stores import Ledger
from khung.stores.library import Library
from khung.vision import Describer, TextReader
from orchestration.frame_queues import work_off

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
    work_off(
        context,
        STAGE,
        ledger,
        settings,
        part_described,
        config.videos,
        lambda video_id: describe_frames(video_id, library, describer, reader),
    )


@dg.job(description="Ask again for the frames that the describer or the reader of text failed on.")
def describe_again_job() -> None:
    """Named by the nightly schedule, and by people who have mended the cause."""
    describe_frames_again()
