"""The shelf as pipeline, service and commands see it: what is in service here, and how that changes. Alone on this machine.

Many machines' is shelf_shared.py; `open_shelf` chooses. With OpenSearch the captions are asked there in either. The order of the
steps stands here; how a shard is sealed or verified does not.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from khung.errors import CorruptError, NotFound
from khung.records import vector_id
from khung.settings import Settings
from khung.shards import erase, garbage, snapshot
from khung.shards.erase import Erased
from khung.shards.garbage import Collected
from khung.shards.manifest import SnapshotManifest
from khung.shards.pointer import ANY, Move
from khung.shards.snapshot import Complaints, Measure, Snapshot, read_manifest
from khung.shards.writer import text_fields
from khung.stores.open import open_archive, open_database, open_text_indexes
from khung.stores.postgres import Postgres
from khung.stores.text_indexes import TextIndexes


def open_shelf(settings: Settings) -> "Shelf":
    """The one that the settings ask for: shared where they name an archive and a database of many machines. Asks no server
    anything yet: whatever is down shows when it is needed."""
    from khung.shards.shelf_shared import SharedShelf

    text = open_text_indexes(settings)
    if not (settings.stores.archive_url and settings.stores.postgres_url):
        return Shelf(settings.shelf_dir, text)
    return SharedShelf(
        settings.shelf_dir, text, partial(open_archive, settings), partial(_database, settings), settings.keep_snapshots
    )


def _database(settings: Settings) -> Postgres:
    database = open_database(settings)
    assert database is not None
    return database


class Shelf:
    """The folder of this machine, and nothing else."""

    def __init__(self, folder: Path, text: TextIndexes | None = None) -> None:
        self.folder, self._text = Path(folder), text

    def current(self) -> str | None:
        """The id of the snapshot in service; None before the first. Raises CorruptError, StoreError."""
        moves = self.history()
        return moves[-1].snapshot_id if moves else None

    def history(self) -> list[Move]:
        """Every move of the pointer, oldest first."""
        return snapshot.history(self.folder)

    def before(self, snapshot_id: str | None) -> str:
        """The snapshot that was in service before this one. Raises NotFound."""
        for move in reversed(self.history()):
            if move.snapshot_id != snapshot_id:
                return move.snapshot_id
        raise NotFound("There is no snapshot to go back to.")

    def follow(self) -> str | None:
        """The snapshot in service, brought to this machine. Raises StoreError, CorruptError: then nothing has changed here."""
        return self.here()

    def in_service(self) -> str:
        """As `follow`. Raises NotFound before the first snapshot."""
        if now := self.follow():
            return now
        raise NotFound("No snapshot is in service.", cure="Bring videos in, or run make_search_snapshot.")

    def here(self) -> str | None:
        """What this machine has: what may still be served when no other can be asked."""
        return snapshot.current(self.folder)

    def open(self, snapshot_id: str, *, verify: bool = True) -> Snapshot:
        """Raises NotFound, or CorruptError before anything damaged is loaded."""
        opened = Snapshot.open(self.folder, snapshot_id, verify=verify)
        if self._text:
            opened.text = self._text.text(snapshot_id)
        return opened

    def manifest(self, snapshot_id: str) -> SnapshotManifest:
        """Raises NotFound, CorruptError."""
        return read_manifest(self.folder, snapshot_id)

    def keep(self, shard_id: str) -> None:
        """A shard was sealed here: let the other machines have it. Raises StoreError."""

    def fetch(self, shard_ids: Iterable[str]) -> None:
        """Have these shards here, sealed on whatever machine. Raises NotFound, StoreError."""

    def publish(
        self,
        shard_ids: Sequence[str],
        *,
        measure: Measure | None = None,
        canaries: Complaints | None = None,
        expect: str | None = ANY,
    ) -> SnapshotManifest:
        """As khung.shards.snapshot.publish, everywhere: every store has the snapshot before the pointer moves."""
        return snapshot.publish(
            self.folder, shard_ids, measure=measure, canaries=canaries, expect=expect,
            announce=partial(self._write_text, canaries=canaries),
        )  # fmt: skip

    def rollback(self, snapshot_id: str, *, expect: str | None = ANY) -> None:
        """Put an older snapshot back into service, verified as at its publishing. Raises NotFound, CorruptError, PublishConflict."""
        with Snapshot.open(self.folder, snapshot_id) as old:
            self._write_text(old)
        snapshot.rollback(self.folder, snapshot_id, expect=expect)

    def repair(self) -> None:
        """Write again, of the snapshot in service, what is derived from its shards. Raises StoreError, CorruptError."""
        if now := self.follow():
            with Snapshot.open(self.folder, now, verify=False) as opened:
                self._bring_up(opened)

    def collect(self, keep: int, *, also: Iterable[str] = ()) -> Collected:
        """Take away what nothing needs, as khung.shards.garbage.collect."""
        taken = garbage.collect(self.folder, keep, also=also)
        self._drop_texts(taken.snapshots)
        return taken

    def erase(self, video_ids: Collection[str]) -> Erased:
        """Take videos out of everything that was published. Repeating it after a crash finishes the work."""
        erased = erase.erase(self.folder, video_ids, announce=self._write_text)
        self._drop_texts(erased.snapshots)
        return erased

    def _bring_up(self, opened: Snapshot, canaries: Complaints | None = None) -> None:
        """The snapshot to wherever else it is asked; may be repeated."""
        self._write_text(opened, canaries)

    def _write_text(self, opened: Snapshot, canaries: Complaints | None = None) -> None:
        """The snapshot's captions into OpenSearch, counted and asked there. Raises CorruptError, StoreError."""
        if not self._text:
            return
        own, opened.text = opened.text, self._text.text(opened.id)
        try:
            written = self._text.write(opened.id, _words(opened))
            if written != opened.manifest.frames:
                raise CorruptError(f"OpenSearch holds {written} of {opened.manifest.frames} frames of {opened.id}.")
            if wrong := list(canaries(opened)) if canaries else []:
                raise CorruptError(f"OpenSearch does not answer as it should: {'; '.join(wrong)}")
        finally:
            opened.text = own

    def _drop_texts(self, snapshot_ids: Collection[str]) -> None:
        if self._text and snapshot_ids:
            self._text.drop(snapshot_ids)


def _words(opened: Snapshot) -> Iterator[tuple[int, dict[str, str]]]:
    """(vector id, field → words) of every frame."""
    for video in opened.records.videos():
        for record in opened.records.frames_of(video.video_id):
            yield vector_id(record.frame_id), text_fields(record)
