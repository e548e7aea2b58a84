"""`khung status`: every video, how far it got, and why it stopped."""

from collections import Counter
from typing import Any

from rich.markup import escape
from rich.table import Table

from khung.cli.show import Json, out, print_json
from khung.settings import settings
from khung.stores import STAGES, LedgerEntry

VERBS = {
    "videos": "probe",
    "shots": "detect",
    "keyframes": "pick",
    "embeddings": "embed",
    "descriptions": "describe",
    "shard_indices": "seal",
}
"""What each stage does, for the heading of its column: short enough for six of them on a narrow terminal."""
MARKS = {
    "done": "[green]✓[/]",
    "linked": "[blue]↪[/]",
    "running": "[cyan]…[/]",
    "waiting": "[dim]·[/]",
    "failed": "[red]✗[/]",
}
BUT = "[yellow]↻[/]"
"""Done, but something of it waits: frames that had to fall back and are embedded again later."""


def status(json: Json = False) -> None:
    """Show every video's state at every stage, with reasons, and the snapshot in service."""
    from khung.shards.shelf import open_shelf
    from khung.stores.open import open_ledger

    config = settings()
    entries, snapshot = open_ledger(config).find(), open_shelf(config).current()
    if json:
        return print_json({"snapshot": snapshot, "videos": entries})
    if not entries:
        out.print("No video has come in yet. Bring some: [bold]khung ingest VIDEO…[/]")
        return
    _show(entries, snapshot)


def _show(entries: list[LedgerEntry], snapshot: str | None) -> None:
    by_video: dict[str, dict[str, LedgerEntry]] = {}
    for entry in entries:
        by_video.setdefault(entry.video_id, {})[entry.stage] = entry
    table = Table(box=None, header_style="dim")
    table.add_column("video", no_wrap=True, overflow="ellipsis", max_width=32)
    for stage in STAGES:
        table.add_column(VERBS[stage], no_wrap=True, justify="center")
    for video_id, stages in sorted(by_video.items()):
        table.add_row(video_id, *(_mark(stages.get(stage)) for stage in STAGES))
    out.print(table)
    for video_id, stages in sorted(by_video.items()):
        for entry in stages.values():
            if entry.state in {"failed", "linked"} or (entry.state == "done" and entry.reason):
                out.print(f"{_mark(entry)} [bold]{video_id}[/] {escape(entry.reason)} {escape(entry.detail)}")
    out.print(f"[dim]{_summary(by_video)} · snapshot {snapshot or 'none yet'}[/]")


def _mark(entry: LedgerEntry | None) -> str:
    if entry is None:
        return ""
    return BUT if entry.state == "done" and entry.reason else MARKS.get(entry.state, entry.state)


def _summary(by_video: dict[str, dict[str, Any]]) -> str:
    worst = Counter(_state(stages) for stages in by_video.values())
    return f"{len(by_video)} videos: " + ", ".join(f"{n} {state}" for state, n in worst.most_common())


def _state(stages: dict[str, LedgerEntry]) -> str:
    states = {entry.state for entry in stages.values()}
    return next((s for s in ("failed", "linked", "running", "waiting") if s in states), "done")
