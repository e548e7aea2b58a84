"""When a sensor looks, and when it rests: it found nothing to do, and nothing has changed since, so it need not read a large library again.

What it saw is its cursor in Dagster: a mark of all that it looks at, and when. Now and then it looks all the same, because a mark
may miss a change that came in the same moment.
"""

import time

import dagster as dg

BEAT_S = 10
"""So often a sensor of the ledger looks."""
REST_S = 60.0
"""So long one rests at most: six marks cost a tenth of a look at 25,000 videos, which takes one to three seconds of CPU."""

UNCHANGED = dg.SkipReason("Nothing has changed since there was nothing to do.")


def at_rest(context: dg.SensorEvaluationContext, mark: str) -> bool:
    """Has it found nothing to do at this mark, not long ago?"""
    last, _, looked_at = (context.cursor or "").rpartition(" at ")
    return last == mark and 0 <= time.time() - float(looked_at) < REST_S


def rest(context: dg.SensorEvaluationContext, mark: str) -> None:
    """There is nothing to do at this mark, which was taken before the look."""
    context.update_cursor(f"{mark} at {int(time.time())}")
