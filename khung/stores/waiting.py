"""Ledger lines that wait because of a fault that was not the video's: an outage, a setting, a model that is not there.

Such a line is as before the run, but it remembers since when: met again and again, it is one state and not always a new one.
"""

from dataclasses import replace

from khung.stores import LedgerEntry

PUT_BACK = "put_back@"
"""How the `reason` of a line begins that waits because of a fault that was not the video's; the moment when that was first so follows."""


def waits_since(entry: LedgerEntry) -> str:
    """The moment of the state that a line is in, by which it is known again: being put back is no new state."""
    return entry.reason.removeprefix(PUT_BACK) if entry.reason.startswith(PUT_BACK) else entry.updated_at


def put_back(entry: LedgerEntry, fault: Exception, before: LedgerEntry | None, now: str) -> LedgerEntry:
    """The line as if the run had not begun on it; `before`: what it was then."""
    again = before is not None and before.reason.startswith(PUT_BACK)
    reason = before.reason if again else f"{PUT_BACK}{now}"
    return replace(entry, state="waiting", reason=reason, detail=str(fault), attempt=max(entry.attempt - 1, 0))
