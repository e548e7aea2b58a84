"""`khung snapshots | rollback | repair | collect | erase | rescale`: what is published, as its operator handles it.

Each is one call into khung.shards, with the words around it; the same chores as Dagster jobs stand in ops/.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.table import Table

from khung.cli.show import Json, errors, out, plain, print_json
from khung.errors import ConfigError, KhungError
from khung.settings import Settings, settings

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def snapshots(json: Json = False) -> None:
    """List what was published, newest first: which snapshot is in service, and which one can be rolled back to."""
    from khung.shards.shelf import open_shelf

    shelf = open_shelf(settings())
    now, moves = shelf.current(), list(reversed(shelf.history()))
    facts = {snapshot_id: _facts(shelf, snapshot_id) for snapshot_id in dict.fromkeys(m.snapshot_id for m in moves)}
    if json:
        return print_json({"snapshot": now, "moves": moves, "snapshots": facts})
    if not moves:
        out.print("Nothing has been published yet. Bring videos in: [bold]khung ingest VIDEO…[/]")
        return
    table = Table("", "snapshot", "since", "by", "videos", "keyframes", "shards", box=None, header_style="dim")
    for number, move in enumerate(moves):
        told = facts[move.snapshot_id]
        counts = [str(told[n]) for n in ("videos", "frames", "shards")] if told else ["[dim]gone[/]", "", ""]
        table.add_row("[green]●[/]" if number == 0 else "", move.snapshot_id, move.at[:19], move.reason, *counts)
    out.print(table)


def _facts(shelf: Any, snapshot_id: str) -> dict[str, int] | None:
    """None for one that was collected or erased: nobody can go back to it."""
    try:
        sealed = shelf.manifest(snapshot_id)
    except KhungError:
        return None
    return {"videos": sealed.videos, "frames": sealed.frames, "shards": len(sealed.shards)}


def rollback(
    snapshot_id: Annotated[str, typer.Argument(help="A name of `khung snapshots`; the one before, if none.")] = "",
    json: Json = False,
) -> None:
    """Put an older snapshot back into service, verified as at its publishing.

    Nothing is published by itself afterwards: the sensors wait until a person publishes again.
    """
    from khung.shards.shelf import open_shelf

    shelf = open_shelf(settings())
    now = shelf.current()
    target = snapshot_id or shelf.before(now)
    shelf.rollback(target, expect=now)
    if json:
        return print_json({"snapshot": target, "before": now})
    out.print(f"[green]✓[/] {target} is in service, {now} is not.")


def repair(json: Json = False) -> None:
    """Write again, of the snapshot in service, what is derived from its shards: OpenSearch's index, PostgreSQL's rows.

    What is there and whole stays as it is. In the embedded profile there is nothing to write.
    """
    from khung.shards.shelf import open_shelf

    shelf = open_shelf(settings())
    shelf.repair()
    if json:
        return print_json({"snapshot": shelf.current()})
    out.print(f"[green]✓[/] {shelf.current() or 'nothing'} is whole in every store.")


def collect(
    keep: Annotated[
        int | None, typer.Option(min=1, help="Snapshots to keep; the setting KHUNG_KEEP_SNAPSHOTS.")
    ] = None,
    json: Json = False,
) -> None:
    """Remove what nothing needs any more: snapshots beyond those kept, their shards, and what a crash left; all a day old."""
    from khung.shards.shelf import open_shelf
    from khung.stores.open import open_archive, open_ledger

    config = settings()
    newest = [e.fingerprint for e in open_ledger(config).find(stage="shard_indices") if e.fingerprint]
    taken = open_shelf(config).collect(keep or config.keep_snapshots, also=newest)
    half = open_archive(config).tidy()
    if json:
        return print_json({**plain(taken), "half_written": half})
    left = len(taken.aside) + half
    out.print(f"{len(taken.snapshots)} snapshots, {len(taken.shards)} shards and {left} left-overs removed.")


def erase(
    videos: Annotated[list[str], typer.Argument(help="Names as `khung status` shows them.", metavar="VIDEO")],
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Forget videos for good: media, pictures, records, words, vectors, in old snapshots too.

    The library is published without them; snapshots that held one cannot be rolled back to. Backups made before still hold
    them, and forget them when they are restored. A crash is mended by the same command.
    """
    from khung.shards.forget import forget_videos
    from khung.shards.shelf import open_shelf
    from khung.stores.library import Library
    from khung.stores.open import open_archive, open_ledger

    config = settings()
    _sure(f"Forget {', '.join(videos[:10])}{' …' if len(videos) > 10 else ''} for good?", yes)
    with _alone(config):
        library = Library(open_archive(config))
        erased = forget_videos(videos, open_shelf(config), open_ledger(config), library)
    if json:
        return print_json(erased)
    out.print(f"[green]✓[/] {len(videos)} videos are forgotten; in service: {erased.snapshot_id or 'nothing'}.")
    out.print(f"[dim]{len(erased.snapshots)} older snapshots and {len(erased.shards)} shards removed[/]")
    if erased.held:
        errors.print(
            f"[yellow]![/] {len(erased.held)} shards are still being read: [bold]khung collect[/] takes them later."
        )


def rescale(
    count: Annotated[int, typer.Argument(min=1, max=1024, help="The new number of shards.", metavar="N")],
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Seal and publish the library in another number of shards, without embedding anything again."""
    from khung.shards.forget import rescale_library
    from khung.shards.shelf import open_shelf
    from khung.stores.open import open_ledger

    config = settings()
    _sure(f"Seal the library anew in {count} shards?", yes)
    with _alone(config):
        sealed = rescale_library(count, open_shelf(config), open_ledger(config))
    if json:
        return print_json({"snapshot": sealed.snapshot_id, "shards": len(sealed.shards), "frames": sealed.frames})
    out.print(
        f"[green]✓[/] {sealed.snapshot_id} is in service: {sealed.frames} keyframes in {len(sealed.shards)} shards."
    )
    if count != config.shard_count:
        errors.print(f"[yellow]![/] Set [bold]KHUNG_SHARD_COUNT={count}[/] before the pipeline runs again.")


def _sure(question: str, yes: bool) -> None:
    import sys

    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError("This needs your word.", cure="Say --yes.")
    typer.confirm(question, abort=True)


@contextmanager
def _alone(config: Settings) -> Iterator[None]:
    """Not while this machine's pipeline publishes: waits for `khung ingest`, and the sensors wait for us."""
    from khung.stores.durable import locked

    config.home.mkdir(parents=True, exist_ok=True)
    with locked(config.turn_path):
        yield
