"""How failures are told in Dagster: by a run's message, in a table, in the metadata of a check. What the ledger keeps of them is batch.py."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

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
