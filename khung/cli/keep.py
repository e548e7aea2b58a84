"""`khung backup | backups | restore | prune`: what must not be lost, saved and brought back, checked; `khung adopt`: moved to services.

The embedded profile's home is one folder; the services profile is PostgreSQL and the bucket. The settings say which it is.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from khung.cli.show import Json, errors, out, print_json
from khung.errors import ConfigError
from khung.settings import Settings, settings
from khung.timecode import utc

Target = Annotated[Path, typer.Argument(help="The folder with the backups.", metavar="FOLDER")]
At = Annotated[str, typer.Option(help="A moment, e.g. 2026-11-22T10:00:00 (UTC unless it says otherwise).")]
Binaries = Annotated[
    Path | None, typer.Option(help="Where pg_basebackup is, if not on the path; of the server's version.")
]


def backup(target: Target, postgres_bin: Binaries = None, json: Json = False) -> None:
    """Save everything that cannot be made again; only what is new is copied. Work may go on meanwhile.

    Embedded: archive, shelf, ledger, API keys (their hashes) and a contest's answers; not the models, which are fetched again, nor what
    signs cookies. Services: PostgreSQL's base copy and every object of the bucket; for any second in between, let the server bring
    its log to FOLDER/wal (docs/how-to/operate.md).
    """
    config = settings()
    with _progress("saving", quiet=json) as tell:
        if _services(config):
            from khung.shards import backup_services

            made = backup_services.backup(config, target, binaries=postgres_bin, tell=tell)
            count = len(made.objects)
        else:
            from khung.shards import backup as embedded

            made = embedded.backup(config.home, target, tell=tell)
            count = len(made.files)
    if json:
        return print_json({"at": made.at, "snapshot": made.snapshot_id, "files": count})
    out.print(f"[green]✓[/] {count} files as of {made.at}; in service: {made.snapshot_id or 'nothing yet'}")
    if beside := [path.name for path in _not_saved(config) if path.exists()]:
        out.print(f"[dim]not in it, for it lies on this machine alone:[/] {', '.join(beside)}")


def backups(target: Target, json: Json = False) -> None:
    """List the moments that can be restored, newest first."""
    rows = [_row(one) for one in reversed(_module(settings()).backups(target))]
    if json:
        return print_json({"backups": rows})
    if not rows:
        out.print(f"{target} has no backup. Make one: [bold]khung backup {target}[/]")
        return
    table = Table("at", "snapshot", "files", "size", box=None, header_style="dim")
    for row in rows:
        table.add_row(
            row["at"], row["snapshot"] or "[dim]none[/]", str(row["files"]), f"{row['size_bytes'] / 1e6:,.1f} MB"
        )
    out.print(table)


def restore(
    target: Target,
    into: Annotated[Path | None, typer.Option(help="Embedded: the new home, a folder that is not there yet.")] = None,
    at: At = "",
    postgres_data: Annotated[
        Path | None, typer.Option(help="Services, first step: the new folder that PostgreSQL is to start on.")
    ] = None,
    wal: Annotated[Path | None, typer.Option(help="The folder of the archived log; FOLDER/wal.")] = None,
    json: Json = False,
) -> None:
    """Bring a moment back, and check it: every file's SHA-256, equal counts in all stores, the canaries.

    Embedded: `khung restore FOLDER --into NEW_HOME`. Services, in two steps: with `--postgres-data`, PostgreSQL's folder; then,
    with that server running and an empty bucket in the settings, again without it: archive, index, ledger.
    """
    config, moment = settings(), _moment(at)
    if not _services(config):
        if into is None or postgres_data:
            raise ConfigError("Where to?", cure=f"khung restore {target} --into NEW_HOME")
        from khung.shards import backup as embedded

        with _progress("restoring", quiet=json) as tell:
            back = embedded.restore(target, into, at=moment, tell=tell)
        return _restored(back, json, f"KHUNG_HOME={into} khung doctor")
    if into:
        raise ConfigError("The services profile has no one folder.", cure="khung restore FOLDER --postgres-data NEW")
    from khung.shards import restore_services

    if postgres_data:
        chosen = restore_services.restore_postgres(target, postgres_data, at=moment, wal=wal)
        if json:
            return print_json({"postgres_data": postgres_data, "from": chosen.at})
        out.print(f"[green]✓[/] {postgres_data} is ready, from {chosen.at}{f' on to {moment}' if moment else ''}.")
        out.print("Start PostgreSQL on it, as its user; then the same command without --postgres-data.")
        return
    with _progress("restoring", quiet=json) as tell:
        back = restore_services.restore_services(config, target, at=moment, tell=tell)
    _restored(back, json, "khung doctor")


def prune(
    target: Target,
    keep: Annotated[int, typer.Option(min=1, help="How many of the newest to keep.")] = 14,
    json: Json = False,
) -> None:
    """Drop old backups, and the files that only they held."""
    gone = _module(settings()).prune(target, keep)
    if json:
        return print_json({"removed": gone, "backups": len(_module(settings()).backups(target))})
    out.print(f"{gone} files removed; {len(_module(settings()).backups(target))} backups are kept.")


def adopt(
    home: Annotated[Path, typer.Argument(help="The embedded home, e.g. .khung.", exists=True, file_okay=False)],
    json: Json = False,
) -> None:
    """Bring an embedded library into the services of the settings: archive, ledger, and the snapshot in service.

    Nothing is decoded, embedded or described again; the home stays as it is. The services must hold nothing else yet. Stop the home's
    pipeline first; a crash is mended by the same command. Older snapshots, API keys and a contest's answers stay behind.
    """
    from khung.shards.adopt import adopt as bring

    with _progress("bringing", quiet=json) as tell:
        done = bring(home, settings(), tell=tell)
    if json:
        return print_json(done)
    out.print(
        f"[green]✓[/] {done.videos} videos and {done.files} files; in service: {done.snapshot_id or 'nothing yet'}"
    )


def _restored(back: Any, json: bool, look: str) -> None:
    if json:
        return print_json(back)
    out.print(
        f"[green]✓[/] as of {back.at}: {back.videos} videos, {back.frames} keyframes, {back.files} files, all checked"
    )
    for video_id in back.erased_again:
        out.print(f"  {video_id} was erased after that, and is erased again")
    out.print(f"Look at it: [bold]{look}[/]")


def _services(config: Settings) -> bool:
    """Both or neither: half a profile would be half a backup. Raises ConfigError."""
    archive, database = bool(config.stores.archive_url), bool(config.stores.postgres_url)
    if archive != database:
        raise ConfigError(
            "Only one of PostgreSQL and S3 is set: there is no backup of both worlds.",
            cure="Back up the one by its own means, or use the whole services profile.",
        )
    return archive


def _module(config: Settings) -> Any:
    from khung.shards import backup as embedded
    from khung.shards import backup_services

    return backup_services if _services(config) else embedded


def _not_saved(config: Settings) -> list[Path]:
    """What people would miss and the backup does not hold: other machines of the services have files of that kind of their own."""
    if _services(config):
        return [config.contest_path, config.keys_path]
    return [config.keys_path] if config.serve.keys_file else []


def _row(one: Any) -> dict[str, Any]:
    held = getattr(one, "objects", None) or getattr(one, "files", ())
    size = sum(file.size_bytes for file in held)
    return {"at": one.at, "snapshot": one.snapshot_id, "files": len(held), "size_bytes": size}


def _moment(text: str) -> str:
    """In UTC, as the backups are named. Raises ConfigError."""
    if not text:
        return ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"“{text}” is no moment.", cure="Write 2026-11-22T10:00:00.") from error
    return utc(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


@contextmanager
def _progress(what: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    columns = (SpinnerColumn(), TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, disable=quiet) as bars:
        task = bars.add_task(what, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
