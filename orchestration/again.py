"""Asking again for what is still pending although its run has failed.

Dagster launches one run for a run key, once and for all. A run that failed before it could write into the ledger (a model file that is
not there, a server that is down) leaves what it was asked for as it was; its key is then extended, so that it is asked for again,
each time after a longer pause. A run that people have cancelled stays cancelled until the ledger says something new.
"""

import time

import dagster as dg

ASKED = ".dagster/khung_asked"
"""The tag of a run that says what it was asked for; a run that Dagster repeats by itself carries it on. The UI does not show tags of this
prefix: the value is for the sensors."""

PAUSE_S, LONGEST_S = 300.0, 6 * 3600.0


def last_try(instance: dg.DagsterInstance, asked: str) -> dg.DagsterRunStatus | None:
    """How the newest run for this ended, or how it stands; None before the first."""
    newest = instance.get_run_records(dg.RunsFilter(tags={ASKED: asked}), limit=1)
    return newest[0].dagster_run.status if newest else None


def key_now(instance: dg.DagsterInstance, asked: str) -> str:
    """The run key to ask with; empty when it is not the time."""
    tries = instance.get_run_records(dg.RunsFilter(tags={ASKED: asked}))
    if not tries:
        return asked
    if tries[0].dagster_run.status != dg.DagsterRunStatus.FAILURE:
        return ""
    ended = tries[0].end_time or tries[0].update_timestamp.timestamp()
    pause_s = min(PAUSE_S * 2 ** (len(tries) - 1), LONGEST_S)
    return f"{asked}:{len(tries)}" if time.time() >= ended + pause_s else ""


def request(instance: dg.DagsterInstance, asked: str, *, tags: dict[str, str], **more: object) -> list[dg.RunRequest]:
    """The run request for what was asked, or none now."""
    key = key_now(instance, asked)
    return [dg.RunRequest(run_key=key, tags=tags | {ASKED: asked}, **more)] if key else []
