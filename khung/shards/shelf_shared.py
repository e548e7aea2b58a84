"""One shelf on many machines: the archive has every sealed shard, PostgreSQL the pointer and the records.

The folder of each machine is its copy of what it serves or seals. A snapshot is in all stores before the pointer moves; every step
may be repeated, so whatever dies in between leaves nothing but work to be done again.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from pathlib import Path

from khung.errors import CorruptError, KhungError, NotFound
from khung.shards import archived, erase, garbage, mirror, pointer, snapshot
from khung.shards.erase import Erased
from khung.shards.garbage import Collected
from khung.shards.manifest import SnapshotManifest
from khung.shards.pointer import ANY, Move
from khung.shards.pointer_postgres import PostgresPointer
from khung.shards.reader import open_shard
from khung.shards.shelf import Shelf
from khung.shards.snapshot import Complaints, Measure, Snapshot
from khung.shards.writer import open_manifest
from khung.stores import Archive
from khung.stores.postgres import Postgres
from khung.stores.records_postgres import PostgresRecords, drop_parts, load_part
from khung.stores.text_indexes import TextIndexes

log = logging.getLogger("khung.shards")


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
        taken = garbage.collect(self.folder, keep, also=also)
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
        announce = partial(self._announce, expect=self.follow())
        erased = erase.erase(self.folder, video_ids, announce=announce)
        now = self.current()
        serving = _names(self.manifest(now)) if now else set()  # what is in service holds none of them any more
        holding = set(archived.holding(self._archive, video_ids)) - serving
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
            garbage.collect(self.folder, self._keep_snapshots)
        except (KhungError, OSError) as error:
            log.warning("tidying_failed", extra={"reason": str(error)})


def _names(sealed: SnapshotManifest) -> set[str]:
    return {ref.shard_id for ref in sealed.shards}
