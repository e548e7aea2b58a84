"""The terminal's door: one command a file. This file gathers them and turns errors into exit codes.

Exit codes: 0 well, 1 something failed and was reported, 2 a wrong call or setting, 130 interrupted.
"""

import sys

import typer

from khung import __version__
from khung.cli import doctor, evaluate, ingest, keep, keys, models, search, serve, shelf, status
from khung.cli.show import errors
from khung.errors import ConfigError, KhungError, QueryError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Find the moment in a video library, asked in Vietnamese or English.\n\n"
    'Begin with `khung ingest VIDEO…`, then `khung search "người đi bộ trên phố"` or `khung serve`.',
)
app.command("ingest")(ingest.ingest)
app.command("search")(search.search)
app.command("serve")(serve.serve)
app.command("encode-serve")(serve.encode_serve)
app.command("status")(status.status)
app.command("evaluate")(evaluate.evaluate)
app.command("fusion")(evaluate.fusion)
app.command("doctor")(doctor.doctor)
app.command("snapshots")(shelf.snapshots)
app.command("rollback")(shelf.rollback)
app.command("repair")(shelf.repair)
app.command("collect")(shelf.collect)
app.command("erase")(shelf.erase)
app.command("rescale")(shelf.rescale)
app.command("backup")(keep.backup)
app.command("backups")(keep.backups)
app.command("restore")(keep.restore)
app.command("prune")(keep.prune)
app.command("adopt")(keep.adopt)
app.add_typer(models.app, name="models")
app.add_typer(keys.app, name="keys")


@app.command("version")
def version() -> None:
    """Print the version."""
    print(__version__)


def main() -> None:
    """The `khung` command."""
    try:
        app()
    except (ConfigError, QueryError) as error:
        errors.print(f"[bold red]✗[/] {error.message}", f"\n  {error.cure}" if error.cure else "")
        sys.exit(2)
    except KhungError as error:
        errors.print(f"[bold red]✗[/] {error.message}", f"\n  {error.cure}" if error.cure else "")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
