"""`khung keys`: make, list and revoke the keys of the HTTP API."""

from typing import Annotated

import typer
from rich.table import Table

from khung.api import keys
from khung.cli.show import out
from khung.settings import settings

app = typer.Typer(no_args_is_help=True, help="Keys of the HTTP API: who may search, upload, submit, look after it.")


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Whose key, for the list.")],
    scope: Annotated[
        list[str] | None, typer.Option(help=f"What it may do, may be repeated: {', '.join(keys.SCOPES)}.")
    ] = None,
    days: Annotated[
        float | None, typer.Option(min=0.001, max=36_500, help="How long it is good; without: until it is revoked.")
    ] = None,
) -> None:
    """Make a key and show it, once. As soon as there is one, the service asks everyone for a key."""
    whole, key = keys.create(settings().keys_path, name, scope or ["search"], days=days)
    out.print(f"[bold]{whole}[/]", soft_wrap=True)
    out.print(
        f"The key {key.id} of {key.name} ({', '.join(key.scopes)}) is not shown again. "
        "Send it as “Authorization: Bearer …”, or give it at /login."
    )


@app.command("list")
def list_keys() -> None:
    """The keys, without their secrets."""
    table = Table("id", "name", "scopes", "made", "ends", "revoked", box=None)
    for key in keys.read(settings().keys_path):
        table.add_row(
            key.id, key.name, " ".join(key.scopes), key.created_at, key.expires_at or "never", key.revoked_at or "no"
        )
    out.print(table)


@app.command("revoke")
def revoke(key_id: Annotated[str, typer.Argument(help="The id, as `khung keys list` shows it.")]) -> None:
    """Refuse a key from now on; every worker does within seconds."""
    key = keys.revoke(settings().keys_path, key_id)
    out.print(f"The key {key.id} of {key.name} is refused from now on.")
