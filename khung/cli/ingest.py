"""`khung ingest`: hands files to the kitchen, a process of its own, and shows how far every stage is.

The kitchen tells events as JSON lines on its output; how many videos have passed a stage is read from the ledger.
"""

import importlib.util
import json as json_lines
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from khung.cli.show import Json, errors, out, print_json
from khung.errors import ConfigError
from khung.settings import settings
from khung.stores import Ledger

REFRESH_S = 0.5
STAGE_TEXT = {
    "videos": "probing",
    "shots": "decoding, finding shots",
    "keyframes": "picking keyframes",
    "preview": "embedding a preview",
    "embeddings": "embedding",
    "descriptions": "describing, reading text",
    "shard_indices": "sealing shards",
    "playable_copies": "making playable copies",
}
Event = dict[str, Any]


def ingest(
    paths: Annotated[list[Path] | None, typer.Argument(help="Video files, or folders of them.", metavar="PATH")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try again everything that failed before.")] = False,
    json: Json = False,
) -> None:
    """Bring videos in and make them findable.

    Runs the whole pipeline through Dagster and publishes a new snapshot. What is known is not done again; a bad file gets a
    status and a reason while the rest goes on, and naming it again tries it again. Without a PATH it finishes what is pending,
    for instance after a power cut. Exit code 1 if a file failed.

    Examples: `khung ingest ~/videos`, `khung ingest "Phố cổ.mp4" talk.mkv`, `khung ingest --retry`.
    """
    paths = paths or []
    _ledger()  # a setting or a folder that is wrong is told here, once
    if missing := [path for path in paths if not path.exists()]:
        raise ConfigError(f"There is no {missing[0]}.", cure="Give video files or folders that exist.")
    events: list[Event] = []
    with tempfile.TemporaryFile() as complaints:
        try:
            with _kitchen(paths, retry, complaints) as kitchen, _display(quiet=json) as tell:
                for event in _events(kitchen):
                    events.append(event)
                    tell(event)
        except KeyboardInterrupt:  # the terminal has told the kitchen, too; it ends by itself
            errors.print("Stopped. What is done is kept; the same command goes on where it stopped.")
            raise
        if not events or events[-1]["event"] != "over":  # the exit code of a Python that broke off is 1, too
            raise _failure(complaints)
    if json:
        print_json({"ok": kitchen.returncode == 0, "events": events})
    else:
        _summary(events)
    if kitchen.returncode:
        raise typer.Exit(1)


def _kitchen(paths: list[Path], retry: bool, complaints: BinaryIO) -> subprocess.Popen[bytes]:
    spec = importlib.util.find_spec("orchestration")
    if spec is None or spec.origin is None or importlib.util.find_spec("dagster") is None:
        raise ConfigError(
            "The pipeline is not installed here: only search works.",
            cure="Use a checkout of khung: `make demo SERVE=0` sets it up.",
        )
    root = Path(spec.origin).parent.parent
    environment = (
        {"DAGSTER_HOME": str(root), "DAGSTER_DISABLE_TELEMETRY": "yes"} | os.environ | {"PYTHONUNBUFFERED": "1"}
    )
    command = [
        sys.executable,
        "-m",
        "orchestration.ingest",
        *(["--retry"] * retry),
        *(str(path.absolute()) for path in paths),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, env=environment)


def _events(kitchen: subprocess.Popen[bytes]) -> Iterator[Event]:
    for line in kitchen.stdout or ():
        if line.startswith(b"{"):
            yield _legible(json_lines.loads(line))


def _legible(event: Event) -> Event:
    """With marks for the bytes of a file's name that are no UTF-8."""
    said = json_lines.dumps(event, ensure_ascii=False).encode("utf-8", "surrogateescape")
    return json_lines.loads(said.decode("utf-8", "replace"))


class _display:
    """Progress bars on the terminal, one a stage; called with every event. Silent for `--json`."""

    def __init__(self, quiet: bool) -> None:
        self._bars = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.description:<26}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("[red]{task.fields[failed]}"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[at]}"),
            console=errors,
            disable=quiet,
        )
        self._tasks: dict[str, TaskID] = {}
        self._now = ""
        self._videos: dict[str, set[str]] = {}
        self._wanted: set[str] = set()
        self._told_all = False
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Callable[[Event], None]:
        self._bars.start()
        self._watcher.start()
        return self._tell

    def __exit__(self, stopped_by: type[BaseException] | None, *_: object) -> None:
        self._over.set()
        self._watcher.join()
        if self._told_all:
            self._finish_all()
        elif stopped_by is None and self._now:  # it broke off: no tick for the stage that it broke off in
            self._bars.update(self._tasks[self._now], failed="broke off", at="")
        self._bars.stop()

    def _tell(self, event: Event) -> None:
        self._told_all = event["event"] == "over"
        if event["event"] == "waiting":
            self._bars.console.print("[dim]Another khung ingest is at work; this one waits for its turn.[/]")
        if event["event"] == "file":
            self._wanted.add(event["linked_to"] or event["video_id"])
        if event["event"] == "run" and event["asset"] in STAGE_TEXT:
            self._begin(event["asset"], event["partitions"])

    def _begin(self, stage: str, partitions: list[str]) -> None:
        """A run of a stage: its own bar, unless it is another run of the stage that is shown last."""
        of_videos = stage != "shard_indices"
        if stage != self._now:
            self._finish_all()
            meant = self._wanted or set().union(*self._videos.values()) or _ready(_ledger())
            self._now, self._videos[stage] = stage, set() if of_videos else meant
            self._tasks[stage] = self._bars.add_task(STAGE_TEXT[stage], total=None, failed="", at="")
        if of_videos:
            self._videos[stage] = self._videos[stage].union(partitions)
        self._bars.update(self._tasks[stage], total=len(self._videos[stage]))

    def _watch(self) -> None:
        ledger = _ledger()
        while not self._over.wait(REFRESH_S):
            self._refresh(ledger)

    def _refresh(self, ledger: Ledger) -> None:
        for stage, task in [item for item in self._tasks.items() if item[0] == self._now]:
            entries = [e for e in ledger.find(stage=stage) if e.video_id in self._videos[stage]]
            states = [entry.state for entry in entries]
            at = ", ".join(f"{e.video_id} {e.detail}" for e in entries if e.state == "running" and e.detail)
            done, failed = states.count("done"), states.count("failed")
            self._bars.update(task, completed=done + failed, failed=f"{failed} failed" if failed else "", at=at)

    def _finish_all(self) -> None:
        """Stages that are over: videos that failed earlier never reach them."""
        self._refresh(_ledger())
        if self._now:
            task = self._tasks[self._now]
            self._bars.update(task, total=self._bars.tasks[task].completed, at="")


def _ready(ledger: Ledger) -> set[str]:
    """The videos that a shard can take: those that are sealed when nothing else was left to do."""
    return {entry.video_id for entry in ledger.find(stage="embeddings") if entry.state == "done"}


def _ledger() -> Ledger:
    from khung.stores.open import open_ledger

    return open_ledger(settings())


def _summary(events: list[Event]) -> None:
    files = [e for e in events if e["event"] == "file"]
    failed = [e for e in events if e["event"] == "failed"]
    bad = {e["video_id"] for e in failed if not e["extra"]}
    unreadable = [e for e in events if e["event"] == "unreadable"]
    for event in failed:
        mark = "[yellow]![/]" if event["extra"] else "[red]✗[/]"
        said = f"{event['stage']}: [red]{event['reason']}[/] {escape(event['detail'])}"
        errors.print(f"{mark} [bold]{event['video_id']}[/] {said}")
    for event in unreadable:
        errors.print(f"[red]✗[/] {escape(event['path'])}: {escape(event['detail'])}")
    for event in events:
        if event["event"] == "empty":
            errors.print(
                f"[yellow]![/] There is no video in {escape(event['path'])}: no file with the ending of one (links are passed over)."
            )
    for event in files:
        if event["linked_to"]:
            out.print(f"[blue]↪[/] {escape(Path(event['path']).name)} is the same content as {event['linked_to']}")
    worked = any(e["event"] == "run" for e in events)
    good = len({e["linked_to"] or e["video_id"] for e in files} - bad)
    if not files and not unreadable:
        if not bad:
            out.print("[green]✓[/] the library is up to date" + ("" if worked else "; nothing was left to do"))
        return
    out.print(
        f"{'[green]✓[/]' if good else '[red]✗[/]'} {good} of {len(files) + len(unreadable)} files can be found"
        + ("" if worked else "; nothing was left to do")
    )


def _failure(complaints: BinaryIO) -> ConfigError:
    complaints.seek(0)
    lines = [line for line in complaints.read().decode(errors="replace").splitlines() if line.strip()]
    return ConfigError(
        "The pipeline could not run: " + (lines[-1] if lines else "it ended without a word."),
        cure="What is done is kept. `khung doctor` looks for the cause; the same command goes on where it stopped.",
    )
