"""One answer of the team's list to the server: at most once, and never into another task than it was meant for."""

import asyncio

from khung.contest.dres import Dres
from khung.contest.team import Entry, Team
from khung.errors import ContestError, DeliveryUnknown, SubmissionRejected


async def send(
    dres: Dres, team: Team, entry_id: int, by: str, *, again: bool = False, check_task: bool = True
) -> Entry:
    """Send it and write down what became of it; gives the entry with its verdict.

    `again`: although it was sent. `check_task`: ask first whether its task still runs (DRES gives a late answer to
    whatever task runs then). Errors of Dres.submit, AlreadySent and NotFound pass through; the list knows of them.
    """
    before = await asyncio.to_thread(team.entry, entry_id)
    if check_task:
        await _still_running(dres, before)
    entry = await asyncio.to_thread(team.claim, entry_id, by, again=again)
    outcome = ("unknown", "", "khung was stopped while it sent this.")
    try:
        verdict = await dres.submit(
            entry.evaluation_id, [entry.answer], task_id=entry.task_id, task_name=entry.task_name
        )
        outcome = ("sent", verdict.submission, verdict.description)
    except DeliveryUnknown as error:
        outcome = ("unknown", "", _said(error))
        raise
    except ContestError as error:
        kept = before.state in ("sent", "unknown")  # what may have counted is not undone by a second sending
        outcome = (before.state, before.verdict, _said(error)) if kept else ("refused", "", _said(error))
        raise
    finally:
        team.settle(entry_id, *outcome)  # not in a thread: it must be written when this is being cancelled
    return await asyncio.to_thread(team.entry, entry_id)


def _said(error: ContestError) -> str:
    """The server's own words where there are any: operators of every language read the list."""
    return error.values.get("said") or error.message


async def _still_running(dres: Dres, entry: Entry) -> None:
    now = await dres.task_now(entry.evaluation_id)
    if now.key != entry.task:
        running = f"now it is “{now.name}”" if now.key else "now there is none"
        error = SubmissionRejected(
            f"The answer is for the task “{entry.task_name}”; {running}.", cure="Nothing was sent."
        )
        raise error.known_as("task_over", task=entry.task_name, now=now.name or "–")
    if now.status not in ("RUNNING", ""):
        error = SubmissionRejected(
            f"The task “{entry.task_name}” is not running ({now.status}).", cure="Nothing was sent."
        )
        raise error.known_as("task_not_running", task=entry.task_name, status=now.status)
