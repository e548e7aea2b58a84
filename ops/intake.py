"""Registering files: a file's content gets a video id and a line in the ledger. Nothing is decoded here.

The sensor, `khung ingest` and the `register_files` job all come through `register`, so that a file means the same from each.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg
from pydantic import Field

from khung.errors import CorruptError, MediaError, NotFound
from khung.stores import Ledger, LedgerEntry
from khung.stores.library import Library
from khung.stores.sources import SourceFile, get_source, put_source
from khung.text.forms import clean
from khung.text.slug import video_id_of
from khung.video.identity import file_sha256


@dataclass(frozen=True, slots=True)
class Registered:
    """One file and the video it is. `linked_to`: another video of the same content, whose results serve for both."""

    path: Path
    video_id: str
    linked_to: str = ""


def register(path: Path, ledger: Ledger, library: Library) -> Registered:
    """Claim the file's content. Registering the same file again changes nothing but where it lies, as long as it has not been copied into
    the archive: it may have moved. Raises MediaError `unreadable`."""
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise MediaError("unreadable", f"{clean(path.name)} cannot be read: it is no file.")
    try:
        sha256 = file_sha256(path)
    except OSError as error:
        raise MediaError("unreadable", f"{clean(path.name)} cannot be read: {error.strerror}.") from error
    name = clean(path.name)
    video_id, linked_to = ledger.claim(sha256, name, video_id_of(name))
    owner = linked_to or video_id
    copied = ledger.get(owner).get("videos")
    if copied is None or copied.state != "done":
        source = SourceFile("", name, sha256)
        with suppress(NotFound, CorruptError):  # else it keeps the name that it was claimed under
            source = get_source(library.archive, owner)
        put_source(library.archive, owner, replace(source, path=str(path.absolute())))
    if copied is None:
        ledger.put([LedgerEntry(owner, "videos", "waiting", detail=f"from {name}")])
    return Registered(path, video_id, linked_to)


def register_all(
    paths: Iterable[Path], ledger: Ledger, library: Library
) -> tuple[list[Registered], dict[Path, MediaError]]:
    """Each file in turn: those that are known now, and those that cannot be read."""
    known, unreadable = [], {}
    for path in paths:
        try:
            known.append(register(path, ledger, library))
        except MediaError as error:
            unreadable[path] = error
    return known, unreadable


class FilesToRegister(dg.Config):
    """Files on the machine where the runs are."""

    paths: list[str] = Field(description="of video files, however large")


@dg.op(tags={"kind": "files"})
def register_files(
    context: dg.OpExecutionContext,
    config: FilesToRegister,
    ledger: dg.ResourceParam[Ledger],
    library: dg.ResourceParam[Library],
) -> None:
    """Register files by name, however large: the sensor hands over those that it could not read within its time."""
    known, unreadable = register_all(map(Path, config.paths), ledger, library)
    for result in known:
        context.log.info(f"{result.path.name} is {result.video_id}{' (linked)' if result.linked_to else ''}")
    if unreadable:
        raise dg.Failure("; ".join(str(error) for error in unreadable.values()), allow_retries=False)
