"""What the two queues of single frames share: which videos are worked off, and which are left to their stage. What a queue holds and
what is tried again stands in embed_again.py and describe_again.py.
"""

from collections.abc import Callable, Sequence

import dagster as dg

from assets.batch import Batch, Outcome
from assets.failures import raise_failures
from assets.recipe import code_versions
from khung.settings import Settings
from khung.stores import Ledger, LedgerEntry


def work_off(
    context: dg.OpExecutionContext,
    stage: str,
    ledger: Ledger,
    settings: Settings,
    waiting: Callable[[Sequence[LedgerEntry]], Sequence[str]],
    videos: Sequence[str],
    work: Callable[[str], Outcome],
) -> None:
    """`work` for each video that has frames `waiting`, of `videos` if any are named. What another recipe made is left to the stage,
    which the log tells. Raises what the stage raises when videos fail."""
    version = code_versions(settings)[stage]
    entries = ledger.find(stage=stage, state="done")
    stale = {entry.video_id for entry in entries if entry.code_version != version}
    wanted = [v for v in waiting(entries) if not videos or v in videos]
    for video_id in (v for v in wanted if v in stale):
        context.log.info(f"{video_id}: its {stage} are of another recipe; materialise {stage} for it.")
    raise_failures(stage, Batch(context, ledger, stage, version).run([v for v in wanted if v not in stale], work))
