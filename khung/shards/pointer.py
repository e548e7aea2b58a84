"""The one pointer to the snapshot in service, with its history. A move is one `os.replace` under a lock, compared and set.

The history is the audit and the list of what can be rolled back to; a reader needs no lock.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from khung.errors import NotFound, PublishConflict
from khung.shards import manifest
from khung.stores.durable import locked, replace_file
from khung.timecode import utc_now

POINTER = "pointer.json"
_KEPT_MOVES = 1000
ANY: Final = "*"
"""Instead of an expected snapshot: move whatever is there."""


@dataclass(frozen=True, slots=True)
class Move:
    """One move of the pointer: from `at` on, `snapshot_id` was in service."""

    version: int
    snapshot_id: str
    at: str  # ISO 8601, UTC
    reason: str  # publish | rollback | follow (a reader's own) | restore


@dataclass(frozen=True, slots=True)
class Pointer:
    """The moves so far, oldest first. The last one counts."""

    moves: tuple[Move, ...] = ()

    @property
    def current(self) -> str | None:
        return self.moves[-1].snapshot_id if self.moves else None

    @property
    def version(self) -> int:
        return self.moves[-1].version if self.moves else 0


class SharedPointer(Protocol):
    """A pointer for many machines: pointer_postgres.py, pointer_s3.py. Read it where it is written: a replica may lag."""

    def read(self) -> Pointer: ...
    def move(self, snapshot_id: str, reason: str, *, expect: str | None = ANY) -> Pointer:
        """Point to `snapshot_id` if the pointer still is at `expect` (None: at nothing); else PublishConflict."""
        ...

    def forget(self, snapshot_ids: Collection[str]) -> None:
        """Take snapshots out of the history, so that nobody rolls back to them. The one in service stays."""
        ...


def read(shelf: Path) -> Pointer:
    """Raises CorruptError when the pointer's file is damaged."""
    try:
        return manifest.read(Path(shelf) / POINTER, Pointer)
    except NotFound:
        return Pointer()


def move(
    shelf: Path, snapshot_id: str, reason: str, *, expect: str | None = ANY, before: Callable[[], None] | None = None
) -> Pointer:
    """Point to `snapshot_id` if the pointer still is at `expect` (None: at nothing); else PublishConflict.

    `before` runs under the lock, before the move: what must still hold is checked there.
    """
    with locked(Path(shelf) / f"{POINTER}.lock"):
        old = read(shelf)
        check_expected(old, expect)
        if before:
            before()
        if old.current == snapshot_id:
            return old
        new = moved(old, snapshot_id, reason)
        replace_file(Path(shelf) / POINTER, manifest.encode(new))
        return new


def check_expected(old: Pointer, expect: str | None) -> None:
    """Raises PublishConflict."""
    if expect not in (ANY, old.current):
        raise PublishConflict(
            f"Another snapshot ({old.current}) went into service meanwhile.", cure="Publish again on top of it."
        )


def moved(old: Pointer, snapshot_id: str, reason: str) -> Pointer:
    """The pointer after one more move; the oldest moves are forgotten."""
    return Pointer((*old.moves, Move(old.version + 1, snapshot_id, utc_now(), reason))[-_KEPT_MOVES:])


def forget(shelf: Path, snapshot_ids: Collection[str]) -> None:
    """Take snapshots out of the history, so that nobody rolls back to them. The one in service stays."""
    with locked(Path(shelf) / f"{POINTER}.lock"):
        old = read(shelf)
        kept = without(old, snapshot_ids)
        if kept != old:
            replace_file(Path(shelf) / POINTER, manifest.encode(kept))


def without(old: Pointer, snapshot_ids: Collection[str]) -> Pointer:
    """The same pointer with a shorter memory."""
    return Pointer(tuple(m for m in old.moves if m.snapshot_id not in snapshot_ids or m is old.moves[-1]))
