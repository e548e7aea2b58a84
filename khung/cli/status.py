"""`khung status`: every video, how far it got, and why it stopped."""

from collections import Counter
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from khung.cli.show import Json, out, print_json
from khung.errors import NotFound
from khung.settings import settings
from khung.stores import ALL_STAGES, BY_INVITATION, MAX_ATTEMPTS, STAGES, LedgerEntry
from khung.stores.waiting import PUT_BACK

VERBS = {
    "videos": "probe",
    "shots": "detect",
    "keyframes": "pick",
    "preview": "preview",
    "embeddings": "embed",
    "descriptions": "describe",
    "shard_indices": "seal",
    "playable_copies": "copy",
}
"""What each stage does, for the heading of its column: short enough for eight of them on a narrow terminal."""
MARKS = {
    "done": "[green]✓[/]",
    "linked": "[blue]↪[/]",
    "running": "[cyan]…[/]",
    "waiting": "[dim]·[/]",
    "failed": "[red]✗[/]",
}
BUT = "[yellow]↻[/]"
"""Done, but something of it waits: frames that had to fall back and are embedded again later."""


COLOURS = {"failed": "red", "left": "red", "running": "cyan", "preview": "yellow", "linked": "blue", "done": "green"}
SHOWN = 200  # rows, and lines below them, for people; a terminal is no place for ten thousand


def status(
    videos: Annotated[list[str] | None, typer.Argument(help="Only these videos, by id.", metavar="VIDEO")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only what failed.")] = False,
    json: Json = False,
) -> None:
    """Show how far every video got, and why it stopped where it did; and the snapshot in service.

    ✓ done, … at work, · waiting, ✗ failed, ! an extra (preview, playable copy) failed and the video is none the worse, ↻ done, but
    frames wait to be embedded again, ↪ the same content as another video. `khung ingest FILE` tries a failed file again.
    """
    from khung.shards.shelf import open_shelf
    from khung.stores.open import open_ledger

    config = settings()
    entries, snapshot = open_ledger(config).find(), open_shelf(config).current()
    if unknown := set(videos or ()) - {entry.video_id for entry in entries}:
        raise NotFound(f"The ledger knows no video {min(unknown)}.", cure="`khung status` lists them all.")
    chosen = _chosen(entries, videos, failed)
    if json:
        return print_json({"snapshot": snapshot, "videos": [e for stages in chosen.values() for e in stages.values()]})
    if not entries:
        out.print("No video has come in yet. Bring some: [bold]khung ingest VIDEO…[/]")
        return
    _show(chosen, snapshot)


Stages = dict[str, LedgerEntry]


def _chosen(entries: list[LedgerEntry], videos: list[str] | None, failed: bool) -> dict[str, Stages]:
    """By video, in the order of ids."""
    by_video: dict[str, Stages] = {}
    for entry in entries:
        if not videos or entry.video_id in videos:
            by_video.setdefault(entry.video_id, {})[entry.stage] = entry
    wanted = ("failed", "left")
    return {v: stages for v, stages in sorted(by_video.items()) if not failed or state_of(stages) in wanted}


def _show(by_video: dict[str, Stages], snapshot: str | None) -> None:
    seen = {stage for stages in by_video.values() for stage in stages}
    columns = [stage for stage in ALL_STAGES if stage in STAGES or stage in seen]
    table = Table(box=None, header_style="dim")
    table.add_column("video", no_wrap=True, overflow="ellipsis", max_width=32)
    for stage in columns:
        table.add_column(VERBS[stage], no_wrap=True, justify="center")
    for video_id, stages in list(by_video.items())[:SHOWN]:
        table.add_row(escape(video_id), *(_mark(stages.get(stage)) for stage in columns))
    out.print(table)
    if len(by_video) > SHOWN:
        out.print(f"[dim]… and {len(by_video) - SHOWN} more: name some, or use --failed or --json[/]")
    told = [line for stages in by_video.values() for entry in _by_stage(stages) if (line := _explained(entry))]
    told.sort(key=lambda line: not line.startswith(MARKS["failed"]))  # what needs eyes comes first
    for line in told[:SHOWN]:
        out.print(line)
    if len(told) > SHOWN:
        out.print(f"[dim]… and {len(told) - SHOWN} more to tell: name some videos, or use --json[/]")
    out.print(f"[dim]{_summary(by_video)} · snapshot {snapshot or 'none yet'}[/]")


def _by_stage(stages: Stages) -> list[LedgerEntry]:
    return sorted(stages.values(), key=lambda entry: ALL_STAGES.index(entry.stage))


def _explained(entry: LedgerEntry) -> str:
    """A line for what a person may have to act on: the stage, the reason's code, and the sentence with its cure. Else nothing."""
    name, verb = f"[bold]{escape(entry.video_id)}[/]", VERBS[entry.stage]
    if entry.state == "linked":
        return f"{_mark(entry)} {name} {escape(entry.detail)}"
    if entry.state == "failed":
        return f"{_mark(entry)} {name} [dim]{verb}[/] [red]{escape(entry.reason)}[/] {escape(entry.detail)}"
    if _left(entry):
        return f"{_mark(entry)} {name} [dim]{verb}[/] {entry.attempt} runs died with it. Name its file to try again."
    if entry.state == "running" and entry.detail:
        return f"{_mark(entry)} {name} [dim]{verb} {escape(entry.detail)}[/]"
    if entry.state == "waiting" and entry.reason.startswith(PUT_BACK):
        return f"{_mark(entry)} {name} [dim]{verb} waits:[/] {escape(entry.detail)}"
    if entry.state == "done" and entry.reason:
        return f"{_mark(entry)} {name} [dim]{verb}[/] {escape(entry.reason)} {escape(entry.detail)}"
    return ""


def _mark(entry: LedgerEntry | None) -> str:
    if entry is None:
        return ""
    if entry.state == "failed" and entry.stage in BY_INVITATION:
        return "[yellow]![/]"
    if entry.state == "done" and entry.reason:
        return BUT
    return MARKS["failed"] if _left(entry) else MARKS.get(entry.state, entry.state)


def _left(entry: LedgerEntry) -> bool:
    return entry.state == "running" and entry.attempt >= MAX_ATTEMPTS


def _summary(by_video: dict[str, Stages]) -> str:
    states = Counter(state_of(stages) for stages in by_video.values())
    told = (f"[{COLOURS.get(state, 'dim')}]{n} {state}[/]" for state, n in states.most_common())
    return f"{len(by_video)} video{'s' if len(by_video) != 1 else ''}: " + ", ".join(told)


def state_of(stages: Stages) -> str:
    """A video's state in one word. `preview`: found by a part of its frames, the others follow; `left`: for people to see to."""
    needed = [entry for entry in stages.values() if entry.stage not in BY_INVITATION]
    if any(_left(entry) for entry in needed):
        return "left"
    states = {entry.state for entry in needed}
    if "failed" not in states and _previewed(stages):
        return "preview"
    stopped = next((s for s in ("failed", "linked", "running", "waiting") if s in states), "")
    return stopped or ("done" if len(needed) == len(STAGES) else "waiting")


def _previewed(stages: Stages) -> bool:
    embedded = stages.get("embeddings")
    return "preview" in stages and stages["preview"].state == "done" and not (embedded and embedded.fingerprint)
