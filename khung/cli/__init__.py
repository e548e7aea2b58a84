"""The terminal's door: one command a file. This file gathers them and turns errors into exit codes.

Exit codes: 0 well, 1 something failed and was reported, 2 a wrong call or setting, 130 interrupted.
"""

import errno
import logging
import sys

import typer
from rich.markup import escape

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
COMMANDS = {  # panel of the help → name → command
    "Every day": {
        "ingest": ingest.ingest,
        "search": search.search,
        "serve": serve.serve,
        "status": status.status,
        "doctor": doctor.doctor,
    },
    "Models, keys and measuring": {
        "models": models.app,
        "keys": keys.app,
        "encode-serve": serve.encode_serve,
        "evaluate": evaluate.evaluate,
        "fusion": evaluate.fusion,
    },
    "Looking after the library": {
        "snapshots": shelf.snapshots,
        "rollback": shelf.rollback,
        "backup": keep.backup,
        "backups": keep.backups,
        "restore": keep.restore,
        "prune": keep.prune,
        "adopt": keep.adopt,
        "collect": shelf.collect,
        "erase": shelf.erase,
        "rescale": shelf.rescale,
        "repair": shelf.repair,
    },
}
for panel, commands in COMMANDS.items():
    for name, command in commands.items():
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, rich_help_panel=panel)
        else:
            app.command(name, rich_help_panel=panel)(command)


@app.command("version", rich_help_panel="Every day")
def version() -> None:
    """Print the version."""
    print(__version__)


REFUSALS = {
    errno.EACCES: "Give it the right to, or name another place.",
    errno.EPERM: "Give it the right to, or name another place.",
    errno.EROFS: "The disk can only be read: name another place.",
    errno.ENOSPC: "The disk is full: make room; what is done is kept.",
    errno.EDQUOT: "The quota is used up: make room; what is done is kept.",
    errno.ENOENT: "Name a place that is there.",
    errno.EEXIST: "A folder was expected there.",
    errno.ENOTDIR: "A folder was expected there.",
    errno.ENAMETOOLONG: "Give it a shorter name.",
    errno.ELOOP: "Its links lead in a circle: name the file itself.",
    errno.EISDIR: "A file was expected there.",
}
"""What the system says no to, whatever was called, and the cure."""


def main() -> None:
    """The `khung` command."""
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # that it tries again; that it failed is told as an error
    try:
        app()
    except (ConfigError, QueryError) as error:
        errors.print(f"[bold red]✗[/] {escape(error.message)}", f"\n  {escape(error.cure)}" if error.cure else "")
        sys.exit(2)
    except KhungError as error:
        errors.print(f"[bold red]✗[/] {escape(error.message)}", f"\n  {escape(error.cure)}" if error.cure else "")
        sys.exit(1)
    except OSError as error:
        if error.filename is None or error.errno not in REFUSALS:
            raise
        errors.print(f"[bold red]✗[/] {error.strerror}: {escape(str(error.filename))}", f"\n  {REFUSALS[error.errno]}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
