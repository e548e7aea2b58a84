"""`khung models`: the model files that khung needs, where they come from, and whether they are here and whole."""

from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from khung.cli.show import Json, errors, megabytes, out, print_json
from khung.settings import settings

app = typer.Typer(no_args_is_help=True, help="List, fetch and check the model files.")
MARKS = {"ok": "[green]✓[/]", "missing": "[red]missing[/]", "wrong": "[red]wrong checksum[/]"}


@app.command("list")
def list_models(json: Json = False) -> None:
    """Show every model file: what it is for, its size, licence and source, and whether it is here."""
    from khung.vision import files

    found = files.check(settings().models_path)
    if json:
        return print_json(found)
    table = Table("file", "for", "size", "licence", "weights from", "here", box=None, header_style="dim")
    for status in found:
        f = status.file
        table.add_row(f.name, f.use, megabytes(f.size), f.licence, f.source, MARKS[status.state])
    out.print(table)


@app.command("pull")
def pull(
    name: Annotated[list[str] | None, typer.Argument(help="Only these files; all of them when none is named.")] = None,
) -> None:
    """Fetch the files that are missing: pinned, hash-checked, resumed where a download broke off."""
    from khung.vision import files

    folder = settings().models_path
    wanted = files.download_bytes(folder, name)
    if not wanted:
        out.print(f"[green]✓[/] all model files are in {folder}")
        return
    with _bar() as bar:
        task = bar.add_task("models", total=wanted)
        fetched = files.fetch(folder, lambda done, total, what: bar.update(task, completed=done, total=total), name)
    out.print(f"[green]✓[/] fetched {megabytes(fetched)} into {folder}")


@app.command("check")
def check(json: Json = False) -> None:
    """Read every file and compare its checksum; exit code 1 if one is missing or wrong."""
    from khung.vision import files

    found = files.check(settings().models_path)
    bad = [status for status in found if status.state != "ok"]
    if json:
        print_json(found)
    else:
        for status in found:
            out.print(f"{MARKS[status.state]} {status.file.name}")
        if bad:
            out.print("    → khung models pull")
    if bad:
        raise typer.Exit(1)


def _bar() -> Progress:
    return Progress(
        TextColumn("fetching [bold]{task.description}[/]"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=errors,
    )
