"""`khung models`: the model files that khung needs, where they come from, and whether they are here and whole."""

from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from khung.cli.show import Json, errors, megabytes, out, print_json
from khung.settings import settings

app = typer.Typer(no_args_is_help=True, help="List, fetch and check the model files.")


@app.command("list")
def list_models(json: Json = False) -> None:
    """Every model file: size, licence, source, and whether it is here."""
    from khung.vision import files

    rows = [
        {
            "name": f.name,
            "bytes": f.size_bytes,
            "licence": f.licence,
            "source": f.source,
            "here": files.is_here(f.name, settings().models_path),
        }
        for f in files.FILES
    ]
    if json:
        return print_json(rows)
    table = Table("file", "size", "licence", "from", "here", box=None, header_style="dim")
    for row in rows:
        table.add_row(
            row["name"],
            megabytes(row["bytes"]),
            row["licence"],
            row["source"],
            "[green]✓[/]" if row["here"] else "[red]missing[/]",
        )
    out.print(table)
