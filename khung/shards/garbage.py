"""What goes from a shelf: snapshots that are no longer kept, shards that none names, and what a crash left aside.

Publishers, readers and other collectors may be at work all the while: whatever one of them takes or names first is its own.
"""

import contextlib
import fcntl
import secrets
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from khung.shards import manifest, pointer
from khung.shards.reader import SHARDS, shard_folder
from khung.shards.snapshot import SNAPSHOT_ID, SNAPSHOTS, read_manifest
from khung.shards.writer import ASIDE
from khung.stores.durable import locked

DAY_S = 86_400.0
_TAKEN = "taken-"


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection took away."""

    shards: tuple[str, ...]
    snapshots: tuple[str, ...]
    aside: tuple[str, ...]


def collect(shelf: Path, keep: int = 3, *, min_age_s: float = DAY_S, also: Iterable[str] = ()) -> Collected:
    """Take away what nothing needs: snapshots beyond the last `keep` in service, their shards, and what a crash left aside.

    Never what an open reader holds, the shards of `also` (sealed, not yet published), nor anything younger than `min_age_s`.
    """
    shelf = Path(shelf)
    old = time.time() - min_age_s
    with locked(shelf / f"{pointer.POINTER}.lock"):  # so that no rollback chooses what is just being taken
        snapshots, wanted = _sort_snapshots(shelf, keep, old)
        for snapshot_id in snapshots:
            (shelf / SNAPSHOTS / f"{snapshot_id}.json").unlink(missing_ok=True)
        wanted.update(also)
        unwanted = [p for p in _children(shelf / SHARDS) if p.name not in wanted and _older(p, old)]
        shards = [p.name for p in unwanted if _take(shelf, p)]
    aside = [p for p in _left_aside(shelf) if p.name.startswith(_TAKEN) or _older(p, old)]
    for path in aside:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    return Collected(tuple(shards), tuple(snapshots), tuple(p.name for p in aside if not p.name.startswith(_TAKEN)))


def take(shelf: Path, shard_id: str) -> bool:
    """Remove one shard now, unless a reader has it."""
    if not _take(Path(shelf), shard_folder(shelf, shard_id)):
        return False
    for path in _left_aside(Path(shelf)):
        if path.name.startswith(_TAKEN):
            shutil.rmtree(path, ignore_errors=True)  # another process may be at it too
    return True


def _sort_snapshots(shelf: Path, keep: int, old: float) -> tuple[list[str], set[str]]:
    """The snapshots that may go, and the shards of those that stay: the last `keep` in service, and whatever is young."""
    in_service = dict.fromkeys(move.snapshot_id for move in reversed(pointer.read(shelf).moves))
    kept = set(list(in_service)[: max(keep, 1)])
    there = [p for p in _children(shelf / SNAPSHOTS) if SNAPSHOT_ID.fullmatch(p.stem)]
    gone = [p.stem for p in there if p.stem not in kept and _older(p, old)]
    staying = {p.stem for p in there} - set(gone)
    return gone, {ref.shard_id for one in staying for ref in read_manifest(shelf, one).shards}


def _left_aside(shelf: Path) -> list[Path]:
    """What a process that died had not yet given its name, and what was taken."""
    return [*_children(shelf / ASIDE), *shelf.glob(".*.aside"), *(shelf / SNAPSHOTS).glob(".*.aside")]


def _children(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _older(path: Path, than: float) -> bool:
    """Last changed before that time, in seconds since 1970. What has just got its name, or gone, is not."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_mtime < than
    return False


def _take(shelf: Path, folder: Path) -> bool:
    """Take a shard's name away unless a reader has it. Its bytes go later: a crash leaves it aside, never half there."""
    aside = shelf / ASIDE / f"{_TAKEN}{folder.name}-{secrets.token_hex(6)}"
    aside.parent.mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # without a manifest nobody can open it
            handle = stack.enter_context(open(folder / manifest.MANIFEST, "rb"))
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        try:
            folder.rename(aside)
        except FileNotFoundError:  # somebody else was first
            return False
    return True
