"""The shelf as pipeline, service and commands see it: this machine's folder alone, or one of many that share what is published.

    alone    the folder; what is published there is in service here
    shared   the archive holds every sealed shard, PostgreSQL the pointer and the records; each machine follows into its folder

With OpenSearch the captions are asked there in either. What lives here: which of these, and the order of the steps. How a shard
is sealed or verified does not.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from khung.errors import CorruptError, KhungError, NotFound
from khung.records import vector_id
from khung.settings import Settings
from khung.shards import archived, erase, mirror, pointer, snapshot
from khung.shards.erase import Erased
from khung.shards.manifest import SnapshotManifest
from khung.shards.pointer import ANY, Move
from khung.shards.pointer_postgres import PostgresPointer
from khung.shards.reader import open_shard
from khung.shards.snapshot import Collected, Complaints, Measure, Snapshot, read_manifest
from khung.shards.writer import open_manifest, text_fields
from khung.stores import Archive
from khung.stores.open import open_archive, open_database, open_text_indexes
from khung.stores.postgres import Postgres
from khung.stores.records_postgres import PostgresRecords, drop_parts, load_part
from khung.stores.text_indexes import TextIndexes

log = logging.getLogger("khung.shards")


def open_shelf(settings: Settings) -> "Shelf":
    """Asks no server anything yet: whatever is down shows when it is needed."""
    text = open_text_indexes(settings)
    if not (settings.stores.archive_url and settings.stores.postgres_url):
        return Shelf(settings.shelf_dir, text)
    database = partial(_database, settings)
    return SharedShelf(settings.shelf_dir, text, partial(open_archive, settings), database, settings.keep_snapshots)


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

    def collect(self, keep: int, *, also: Iterable[str] = ()) -> Collected:
        """Take away what nothing needs, as khung.shards.snapshot.collect."""
        taken = snapshot.collect(self.folder, keep, also=also)
        self._drop_texts(taken.snapshots)
        return taken

    def erase(self, video_ids: Collection[str]) -> Erased:
        """Take videos out of everything that was published. Repeating it after a crash finishes the work."""
        erased = erase.erase(self.folder, video_ids, announce=self._write_text)
        self._drop_texts(erased.snapshots)
        return erased

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


class SharedShelf(Shelf):
    """One of many. The pointer in PostgreSQL says what is in service; the folder is this machine's copy."""

    def __init__(
        self,
        folder: Path,
        text: TextIndexes | None,
        archive: Callable[[], Archive],
        database: Callable[[], Postgres],
        keep_snapshots: int,
    ) -> None:
        super().__init__(folder, text)
        self._open_archive, self._open_database, self._keep_snapshots = archive, database, keep_snapshots
        self._archive_opened: Archive | None = None

    def history(self) -> list[Move]:
        return list(self._pointer.read().moves)

    def follow(self) -> str | None:
        before = self.here()
        now = mirror.follow(self.folder, self._archive, self._pointer)
        if now != before:
            self._tidy()
        return now

    def open(self, snapshot_id: str, *, verify: bool = True) -> Snapshot:
        """What this machine has not, or has damaged, comes from the archive."""
        try:
            return super().open(snapshot_id, verify=verify)
        except (NotFound, CorruptError):
            mirror.pull(self._archive, self.folder, snapshot_id)
            return super().open(snapshot_id, verify=verify)

    def manifest(self, snapshot_id: str) -> SnapshotManifest:
        try:
            return super().manifest(snapshot_id)
        except NotFound:
            return archived.snapshot_manifest(self._archive, snapshot_id)

    def keep(self, shard_id: str) -> None:
        mirror.push_shard(self.folder, self._archive, shard_id)

    def fetch(self, shard_ids: Iterable[str]) -> None:
        for shard_id in shard_ids:
            try:
                open_manifest(self.folder, shard_id)
            except (NotFound, CorruptError):
                mirror.pull_shard(self._archive, self.folder, shard_id)

    def publish(
        self,
        shard_ids: Sequence[str],
        *,
        measure: Measure | None = None,
        canaries: Complaints | None = None,
        expect: str | None = ANY,
    ) -> SnapshotManifest:
        self.fetch(shard_ids)
        announce = partial(self._announce, canaries=canaries, expect=expect)
        return snapshot.publish(self.folder, shard_ids, measure=measure, canaries=canaries, announce=announce)

    def rollback(self, snapshot_id: str, *, expect: str | None = ANY) -> None:
        with self.open(snapshot_id) as old:
            snapshot.check(self.folder, old.manifest)
            self._bring_up(old)
            self._pointer.move(snapshot_id, "rollback", expect=expect)
        pointer.move(self.folder, snapshot_id, "rollback")

    def collect(self, keep: int, *, also: Iterable[str] = ()) -> Collected:
        """Here and in the services. What nothing names goes from there once it was found unnamed a day ago, too."""
        also = set(also)
        taken = snapshot.collect(self.folder, keep, also=also)
        kept = list(dict.fromkeys(move.snapshot_id for move in reversed(self.history())))[: max(keep, 1)]
        gone = archived.collect(self._archive, kept, also)
        self._drop_rows()
        if self._text:
            self._text.drop(set(self._text.snapshots()) - archived.snapshots(self._archive).keys())
        return Collected(
            tuple(sorted({*taken.shards, *gone.shards})),
            tuple(sorted({*taken.snapshots, *gone.snapshots})),
            taken.aside,
        )

    def erase(self, video_ids: Collection[str]) -> Erased:
        self.follow()
        erased = erase.erase(self.folder, video_ids, announce=self._announce)
        now, holding = self.current(), set(archived.holding(self._archive, video_ids))
        old = [
            s.snapshot_id
            for s in archived.snapshots(self._archive).values()
            if _names(s) & holding and s.snapshot_id != now
        ]
        self._pointer.forget(old)
        archived.drop(self._archive, old, holding)
        archived.log_erased(self._archive, video_ids)
        self._drop_texts(old)
        self._drop_rows()
        return erased

    @property
    def _archive(self) -> Archive:
        if self._archive_opened is None:
            self._archive_opened = self._open_archive()
        return self._archive_opened

    @property
    def _pointer(self) -> PostgresPointer:
        return PostgresPointer(self._open_database())

    def _announce(self, opened: Snapshot, canaries: Complaints | None = None, expect: str | None = ANY) -> None:
        self._bring_up(opened, canaries)
        self._pointer.move(opened.id, "publish", expect=expect)

    def _bring_up(self, opened: Snapshot, canaries: Complaints | None = None) -> None:
        """Shards and manifest into the archive, captions into OpenSearch, records into PostgreSQL; each may be repeated."""
        mirror.push(self.folder, self._archive, opened.id)
        self._write_text(opened, canaries)
        self._load_rows(opened)

    def _load_rows(self, opened: Snapshot) -> None:
        """Raises CorruptError when PostgreSQL then holds other frames."""
        database = self._open_database()
        for ref in opened.manifest.shards:
            with open_shard(self.folder, ref.shard_id, verify=False) as shard:
                inputs = list(shard.inputs())
                records = [record for one in inputs for record in one.records]
                load_part(
                    database,
                    ref.shard_id,
                    [one.video for one in inputs],
                    [s for one in inputs for s in one.shots],
                    records,
                )
        loaded = len(PostgresRecords(database, sorted(_names(opened.manifest))))
        if loaded != opened.manifest.frames:
            raise CorruptError(f"PostgreSQL holds {loaded} of {opened.manifest.frames} frames of {opened.id}.")

    def _drop_rows(self) -> None:
        """Rows of shards that no snapshot in the archive names."""
        wanted = set().union(*map(_names, archived.snapshots(self._archive).values()))
        drop_parts(self._open_database(), wanted)

    def _tidy(self) -> None:
        """After following: what was erased elsewhere goes from here as well, and old copies make room. Never in the way."""
        try:
            if gone := set(archived.erased(self._archive)) - set(erase.erased(self.folder)):
                erase.drop_older(self.folder, gone)
            snapshot.collect(self.folder, self._keep_snapshots)
        except (KhungError, OSError) as error:
            log.warning("tidying_failed", extra={"reason": str(error)})


def _names(sealed: SnapshotManifest) -> set[str]:
    return {ref.shard_id for ref in sealed.shards}


def _words(opened: Snapshot) -> Iterator[tuple[int, dict[str, str]]]:
    """(vector id, field → words) of every frame."""
    for video in opened.records.videos():
        for record in opened.records.frames_of(video.video_id):
            yield vector_id(record.frame_id), text_fields(record)
