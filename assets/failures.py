"""How failures are told in Dagster: by a run's message, in a table, in the metadata of a check; and that a second one never hides the first.
What the ledger keeps of them is batch.py."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dagster as dg

log = logging.getLogger(__name__)

NAMED = 5
"""So many failures are told in a run's message; all of them stand in its table."""


def looked_at(what: str, number: int, caught: Mapping[str, str]) -> dict[str, Any]:
    """Metadata of a check: how many `what` it looked at, how many broke the rule, and, only where there are some, how."""
    rows = "\n".join(f"| {key} | {in_a_row(said)} |" for key, said in sorted(caught.items()))
    broke = {"broke_it": dg.MetadataValue.md(f"| {what} | detail |\n|---|---|\n{rows}")} if caught else {}
    return {what: number, "failed": len(caught), **broke}


def raise_failures(stage: str, failures: Mapping[str, BaseException], what: str = "videos") -> None:
    """Fail the run with the names of those that failed, and why: in its first line who, then a line each. What was materialised
    stays; a retry would only repeat the fault."""
    if failures:
        told = sorted(failures.items())
        rows = "\n".join(f"| {v} | `{reason_of(e)}` | {in_a_row(str(e))} |" for v, e in told)
        names = ", ".join(sorted(failures)[:NAMED]) + ("…" if len(failures) > NAMED else "")
        lines = [f"• {v}: {reason_of(e)}. {e}" for v, e in told[:NAMED]]
        raise dg.Failure(
            "\n".join([f"{stage} failed for {names}. The other {what} of this run are done.", *lines]),
            metadata={"failed": dg.MetadataValue.md(f"| {what} | reason | detail |\n|---|---|---|\n{rows}")},
            allow_retries=False,
        )


def reason_of(error: BaseException) -> str:
    """A short stable code: the medium's reason, the check's name, or the error's class."""
    return getattr(error, "reason", "") or getattr(error, "check", "") or type(error).__name__


def in_a_row(text: str) -> str:
    """As a cell of a markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")


@contextmanager
def kept_if_broken_off(keep: Callable[[], None]) -> Iterator[None]:
    """What was made so far is kept when the work inside breaks off, by whatever: also a run that is stopped. That it cannot be kept is only
    logged: why the work broke off decides what happens next, and a lost device must end the process."""
    try:
        yield
    except BaseException:
        try:
            keep()
        except Exception as error:  # whatever it is, it must not stand in the place of the first
            log.warning("What was made before the failure could not be kept: %s", error, exc_info=error)
        raise
