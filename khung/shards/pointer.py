"""The one pointer to the snapshot in service, with its history. A move is one `os.replace` under a lock, compared and set.

The history is the audit and the list of what can be rolled back to; a reader needs no lock.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from khung.errors import NotFound, PublishConflict
from khung.shards import manifest
from khung.stores.durable import locked, replace_file
from khung.stores.ledger_sqlite import utc_now

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
    reason: str  # publish | rollback


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
        if expect not in (ANY, old.current):
            raise PublishConflict(
                f"Another snapshot ({old.current}) went into service meanwhile.", cure="Publish again on top of it."
            )
        if before:
            before()
        if old.current == snapshot_id:
            return old
        new = Pointer((*old.moves, Move(old.version + 1, snapshot_id, utc_now(), reason))[-_KEPT_MOVES:])
        replace_file(Path(shelf) / POINTER, manifest.encode(new))
        return new


def forget(shelf: Path, snapshot_ids: Collection[str]) -> None:
    """Take snapshots out of the history, so that nobody rolls back to them. The one in service stays."""
    with locked(Path(shelf) / f"{POINTER}.lock"):
        old = read(shelf)
        kept = tuple(m for m in old.moves if m.snapshot_id not in snapshot_ids or m is old.moves[-1])
        if kept != old.moves:
            replace_file(Path(shelf) / POINTER, manifest.encode(Pointer(kept)))
