"""`khung search`: one question, answered in the terminal, with a picture of the answer on request."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from khung.cli.engine import opened_engine
from khung.cli.show import Json, errors, out, plain, print_json
from khung.errors import ConfigError, MediaError, NotFound
from khung.records import Hit, Keyframe
from khung.settings import settings
from khung.stores import FrameFilter
from khung.timecode import format_ms, parse_ms


def search(
    text: Annotated[
        str,
        typer.Argument(
            metavar="TEXT",
            help="What to look for, in Vietnamese (with or without marks) or English. “A rồi B” and “A then B” find one after the other.",
        ),
    ],
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help="How many moments.")] = 10,
    video: Annotated[list[str] | None, typer.Option(help="Only in this video; may be repeated.")] = None,
    after: Annotated[str | None, typer.Option(help="Only from this time on, e.g. 1:30.")] = None,
    before: Annotated[str | None, typer.Option(help="Only before this time, e.g. 2:00.")] = None,
    object: Annotated[
        list[str] | None,
        typer.Option(help="Only frames with this object, e.g. car; may be repeated (all must be there)."),
    ] = None,
    image: Annotated[
        Path | None, typer.Option(help="Also look for frames like this picture.", exists=True, dir_okay=False)
    ] = None,
    sheet: Annotated[Path | None, typer.Option(help="Write a contact sheet of the answers here (.webp).")] = None,
    json: Json = False,
) -> None:
    """Find moments.

    Examples: `khung search "người đi bộ trên phố"`, `khung search "nguoi di bo" -n 5`, `khung search "a bird" --sheet birds.webp`.
    """
    from khung.search.engine import SearchRequest

    where = FrameFilter(
        videos=tuple(video or ()),
        from_ms=parse_ms(after) if after else None,
        to_ms=parse_ms(before) if before else None,
        objects=tuple(object or ()),
    )
    if where.from_ms is not None and where.to_ms is not None and where.from_ms >= where.to_ms:
        raise ConfigError(f"There is no time from {after} on and before {before}.", cure="Is --after the smaller one?")
    with opened_engine(with_vectors=True) as (engine, snapshot):
        for name in where.videos:
            _refuse_unknown(name, snapshot)
        result = engine.search(
            SearchRequest(text=text, image=_pixels(image) if image else None, where=where, limit=limit)
        )
    if sheet:
        _write_sheet(text, result.hits, sheet)
    if json:
        told = plain(replace(result, hits=[])) | {"hits": [_told(hit) for hit in result.hits]}
        return print_json(told | {"sheet": str(sheet) if sheet else None})
    _show(result)
    if sheet:
        out.print(f"[dim]contact sheet:[/] {sheet}")


def _told(hit: Hit) -> dict[str, Any]:
    """For programs: with the record that was read."""
    told = {"record": hit.record, **hit._asdict(), "chain": [_told(step) for step in hit.chain]}
    del told["sealed"]
    return plain(told)


def _refuse_unknown(video: str, snapshot: Any) -> None:
    try:
        snapshot.records.video(video)
    except NotFound as error:
        raise ConfigError(f"No video “{video}” is in service.", cure="`khung status` lists them all.") from error


def _show(result: Any) -> None:
    table = Table(box=None, header_style="dim", padding=(0, 1))
    table.add_column("", justify="right", style="dim", no_wrap=True)
    table.add_column("time", style="bold cyan", no_wrap=True, justify="right")
    table.add_column("video", no_wrap=True, overflow="ellipsis", max_width=28)
    table.add_column("score", no_wrap=True)
    table.add_column("recognised; why it matched")
    language = result.parsed.language
    for rank, hit in enumerate(result.hits, 1):
        table.add_row(str(rank), format_ms(hit.record.pts_ms), hit.record.video_id, _score(hit), _words(hit, language))
        for step in hit.chain:
            table.add_row("", "→ " + format_ms(step.record.pts_ms), "", "", _words(step, language))
    if result.hits:
        out.print(table)
    else:
        out.print("Nothing matches. Ask more widely, or drop a filter.")
    out.print(
        f"[dim]{len(result.hits)} of {result.total} moments · {result.took_ms:.0f} ms · snapshot {result.snapshot_id}[/]"
    )
    for fault in result.degraded:
        errors.print(f"[yellow]![/] answered without {fault.channel}: {fault.reason}")


def _score(hit: Hit) -> str:
    return f"{hit.score:.2f} [cyan]{'━' * round(max(0.0, min(1.0, hit.score)) * 8):<8}[/]"


def _words(hit: Hit, language: str) -> str:
    caption = escape(_caption(hit, language))
    why = "; ".join(dict.fromkeys(score.why for score in hit.channels.values() if score.why))
    return f"{caption}\n[dim]{escape(why)}[/]" if why else caption


def _caption(hit: Hit, language: str) -> str:
    """In the language of the question, or in another."""
    captions = hit.record.description.captions
    return captions.get(language) or next(filter(None, captions.values()), "")


def _pixels(path: Path) -> Any:
    import numpy as np

    from khung.api.images import decoded

    try:
        return np.asarray(decoded(path.read_bytes(), settings().serve.max_image_pixels))
    except (MediaError, OSError) as error:
        cure = "Give a JPEG, PNG or WebP file that is not larger."
        raise ConfigError(f"{path} is not a picture that can be read.", cure=cure) from error


def _write_sheet(text: str, hits: list[Hit], path: Path) -> None:
    from khung.keyframes.sheet import contact_sheet
    from khung.stores.library import Library
    from khung.stores.open import open_archive

    library = Library(open_archive(settings()))

    def thumbnail(keyframe: Keyframe) -> bytes:
        return library.archive.get_bytes(library.image_key(keyframe.video_id, keyframe.frame_index, "thumb.webp"))

    keyframes = [hit.record.keyframe for hit in hits]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(contact_sheet(text, keyframes, thumbnail, columns=5, label=lambda keyframe: keyframe.video_id))
