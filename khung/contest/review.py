"""A draft against the team's list: what was sent already, what is near something judged wrong, what adds nothing.

Only words for the operator; nothing here forbids. Sending twice is prevented by team.
"""

from collections.abc import Iterable

from khung.contest.submission import Draft, Notice
from khung.contest.team import Entry
from khung.timecode import format_ms

NEAR_MS = 2_000
"""Moments of one video that are closer are taken for the same moment."""

_LIVE = ("sending", "sent", "unknown")


def review(draft: Draft, entries: Iterable[Entry]) -> tuple[Notice, ...]:
    """Notices about a draft, given the entries of the same task: `already_sent`, `proposed`, `solved`, `near_wrong`,
    `near_sent`, `same_video`."""
    entries = list(entries)
    same = [entry for entry in entries if entry.answer == draft.answer]
    if same:
        return (_about_itself(same[0]),)
    live = [entry for entry in entries if entry.state in _LIVE]
    near = [entry for entry in live if _near(draft, entry)]
    notices = [_about_near(entry) for entry in near]
    if draft.kind == "AVS":
        notices += [_about_video(e) for e in live if e.item_name == draft.item_name and e.verdict == "CORRECT"][:1]
    else:
        notices += [_about_solved(entry) for entry in live if entry.verdict == "CORRECT"][:1]
    return tuple(dict.fromkeys(notices))


def _near(draft: Draft, entry: Entry) -> bool:
    if (
        not draft.times_ms
        or not entry.times_ms
        or draft.item_name != entry.item_name
        or draft.kind not in ("KIS", "AVS")
    ):
        return False
    first, last = draft.times_ms[0] - NEAR_MS, draft.times_ms[-1] + NEAR_MS
    return first <= entry.times_ms[-1] and entry.times_ms[0] <= last


def _about_itself(entry: Entry) -> Notice:
    if entry.state in _LIVE:
        return Notice("already_sent", f"{entry.sent_by} has sent exactly this: {entry.verdict or entry.state}.")
    return Notice("proposed", f"{entry.by} has proposed exactly this.")


def _about_near(entry: Entry) -> Notice:
    where = f"{entry.item_name} at {format_ms(entry.times_ms[0])}"
    if entry.verdict == "WRONG":
        return Notice("near_wrong", f"{where} was wrong.")
    return Notice("near_sent", f"{where} was sent: {entry.verdict or entry.state}.")


def _about_video(entry: Entry) -> Notice:
    return Notice("same_video", f"{entry.item_name} is already correct; another shot of it adds no points.")


def _about_solved(entry: Entry) -> Notice:
    return Notice("solved", f"{entry.sent_by} has solved this task.")
