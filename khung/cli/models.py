"""`khung models`: the model files that khung needs, the large models it can use, where they come from, whether they are here and whole."""

from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from khung.cli.show import Json, errors, megabytes, out, print_json
from khung.errors import ConfigError
from khung.settings import Settings, settings

app = typer.Typer(no_args_is_help=True, help="List, fetch and check the model files and the large models.")
MARKS = {
    "ok": "[green]✓[/]",
    "missing": "[red]missing[/]",
    "wrong": "[red]wrong checksum[/]",
    "incomplete": "[red]incomplete[/]",
    "unpinned": "[yellow]own copy[/]",
}
Names = Annotated[list[str] | None, typer.Argument(help="Files or large models; all files when none is named.")]


def chosen_cards(config: Settings) -> list[str]:
    """The large models that these settings need on this machine."""
    from khung.vision.cards import CARDS
    from khung.vision.load import choice

    names = choice(config)
    held = {names.embedder: config.embedder.folder, names.describer: config.describer.folder}
    wanted = (names.embedder, names.describer, names.fallback)
    return [name for name in wanted if name in CARDS and not held.get(name)]


@app.command("list")
def list_models(json: Json = False) -> None:
    """Show every model file and every large model: what for, size, memory, licence, source, revision, and whether it is here."""
    from khung.vision import cards, files

    found, large = files.check(settings().models_path), cards.listing(settings().models_path)
    if json:
        return print_json({"files": found, "large": [_card_facts(status) for status in large]})
    table = Table(
        "file, what for, weights from", "size", "licence", "here", box=None, header_style="dim", padding=(0, 1)
    )
    table.columns[0].overflow = "fold"  # an address that is cut is none
    for column in table.columns[1:]:
        column.no_wrap = True
    for status in found:
        f = status.file
        told = f"{f.name}\n[dim]{f.use}\n{f.source.removeprefix('https://')}[/]"
        table.add_row(told, megabytes(f.size), f.licence, MARKS[status.state])
    out.print(table)
    out.print("\n[bold]Large models[/] → chosen by the settings; GB of the weights in bfloat16/4 bits")
    out.print(_large_table(large, chosen_cards(settings())))


@app.command("pull")
def pull(
    name: Names = None,
    revision: Annotated[str, typer.Option(help="Another commit of the one large model that is named.")] = "",
) -> None:
    """Fetch what is missing: pinned, hash-checked, resumed where a download broke off. Large models only when named."""
    from khung.vision import cards, files

    config = settings()
    large = [one for one in name or [] if one in cards.CARDS]
    small = [one for one in name or [] if one not in cards.CARDS] if name else None
    if unknown := [one for one in small or [] if one not in files.FILES]:
        raise ConfigError(f"There is no model {unknown[0]}.", cure="`khung models list` names them.")
    if revision and len(large) != 1:
        raise ConfigError(
            "A revision belongs to one large model.", cure="Name one: khung models pull gme-2b --revision …"
        )
    if small or not name:
        _pull_files(config, small)
    for one in large:
        _pull_card(config, one, revision)
    if not name and (absent := _absent(config)):
        out.print(f"The settings also choose {', '.join(absent)}:\n    → khung models pull {' '.join(absent)}")


@app.command("check")
def check(name: Names = None, json: Json = False) -> None:
    """Read every file, of large models those that are here, and compare the checksums; exit code 1 if one is missing or wrong."""
    from khung.vision import cards, files

    folder = settings().models_path
    found = [status for status in files.check(folder) if not name or status.file.name in name]
    here = [status.card.name for status in cards.listing(folder) if status.state != "missing"]
    large = [cards.check(one, folder) for one in (name or here) if one not in files.FILES]
    if json:
        print_json({"files": found, "large": [_card_facts(status) for status in large]})
    else:
        _show_checked(found, large)
    if any(status.state not in ("ok", "unpinned") for status in (*found, *large)):
        raise typer.Exit(1)


def _pull_files(config: Settings, names: list[str] | None) -> None:
    from khung.vision import files

    folder = config.models_path
    wanted = files.download_bytes(folder, names)
    if not wanted:
        out.print(f"[green]✓[/] all model files are in {folder}")
        return
    with _bar() as bar:
        task = bar.add_task("models", total=wanted)
        fetched = files.fetch(folder, lambda done, total, what: bar.update(task, completed=done, total=total), names)
    out.print(f"[green]✓[/] fetched {megabytes(fetched)} into {folder}")


def _pull_card(config: Settings, name: str, revision: str) -> None:
    from khung.vision import cards

    card = cards.card(name)
    out.print(f"{name}: about {card.memory_bytes() / 1e9:.1f} GB of {card.hub_id}, {card.licence}")
    with _bar() as bar:
        task = bar.add_task(name, total=None)
        folder = cards.pull(
            name,
            config.models_path,
            revision=revision,
            progress=lambda done, total, what: bar.update(task, completed=done, total=total),
        )
    out.print(f"[green]✓[/] {name} at {cards.check(name, config.models_path, thorough=False).revision} in {folder}")


def _absent(config: Settings) -> list[str]:
    from khung.vision import cards

    return [n for n in chosen_cards(config) if cards.check(n, config.models_path, thorough=False).state == "missing"]


def _show_checked(found: list, large: list) -> None:
    for status in found:
        out.print(f"{MARKS[status.state]} {status.file.name}")
    if any(status.state != "ok" for status in found):
        out.print("    → khung models pull")
    for status in large:
        out.print(f"{MARKS[status.state]} {status.card.name} {status.revision}")
        if status.state not in ("ok", "unpinned"):
            out.print(f"    → khung models pull {status.card.name}")


def _large_table(large: list, chosen: list[str]) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0))
    for column in ("model", "gives", "GB", "licence", "revision", "here"):
        table.add_column(column, no_wrap=True)
    for status in large:
        card = status.card
        held = f"{card.memory_bytes() / 1e9:.1f}/{card.memory_bytes(quantisation='nf4') / 1e9:.1f}"
        gives = f"{card.dim} dim" if card.dim else "sentences"
        revision = (status.revision or card.revision)[:8] or "newest"
        mark = "→" if card.name in chosen else " "
        table.add_row(f"{mark} {card.name}", gives, held, card.licence, revision, MARKS[status.state])
    return table


def _card_facts(status: Any) -> dict[str, Any]:
    """A card's status for programs, with the sizes that follow from it."""
    card = status.card
    memory = {"bfloat16": card.memory_bytes(), "nf4": card.memory_bytes(quantisation="nf4")}
    return {"card": card, "state": status.state, "revision": status.revision or card.revision, "memory_bytes": memory}


def _bar() -> Progress:
    return Progress(
        TextColumn("fetching [bold]{task.description}[/]"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=errors,
    )
