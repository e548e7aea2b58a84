"""Snapshots: shards that go into service together. Verify, then move one pointer; a reader keeps what it opened.

Publishing and rolling back. Sealing is writer.py, one shard reader.py, the pointer's file pointer.py, what goes again garbage.py.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from khung.errors import CorruptError, NotFound
from khung.shards import canaries, manifest, pointer
from khung.shards.manifest import ShardManifest, ShardRef, SnapshotManifest, SpaceRef
from khung.shards.pointer import ANY, Move
from khung.shards.reader import RECORDS, TEXT, VECTORS, Lease, Shard, open_shard, shard_folder, verify
from khung.stores import RecordStore, TextIndex
from khung.stores.durable import replace_file
from khung.stores.records_duckdb import DuckRecords
from khung.stores.text_tantivy import TantivyText
from khung.stores.vectors_build import RECALL_GATE
from khung.stores.vectors_faiss import FaissVectors
from khung.text.fields import TEXT_VERSION
from khung.timecode import utc_now

SNAPSHOTS = "snapshots"
SNAPSHOT_ID = re.compile(r"[0-9a-f]{16}")

Complaints = Callable[["Snapshot"], Iterable[str]]
"""Asks an opened snapshot and yields what is wrong with it: canary queries, quality gates."""
Measure = Callable[["Snapshot"], Mapping[str, Sequence[float]]]
Announce = Callable[["Snapshot"], None]
"""Brings a verified snapshot to wherever else it must be before it goes into service; raising stops the publishing."""


class Snapshot:
    """The stores of one snapshot, opened together: `id`, `manifest`, `records`, `text`, `vectors`, `fingerprint`, `normalisers`;
    `others`: the vectors of models that stood in for the embedder on some frames, by their fingerprint."""

    def __init__(self, shelf: Path, sealed: SnapshotManifest, *, check: bool) -> None:
        self.manifest = sealed
        self.id = sealed.snapshot_id
        self.fingerprint = sealed.embed_fingerprint
        self.normalisers = sealed.normalisers
        if sealed.text_version != TEXT_VERSION:
            raise CorruptError(
                f"Snapshot {self.id} has words of version {sealed.text_version}, not {TEXT_VERSION}.",
                cure="`khung ingest` seals the shards again; nothing is embedded anew.",
            )
        folders = [shard_folder(shelf, ref.shard_id) for ref in sealed.shards]
        self._leases: list[Lease] = []
        try:
            for folder in folders:
                self._leases.append(Lease(folder))
                if check:
                    verify(folder, manifest.read(folder / manifest.MANIFEST, ShardManifest))
            self.records: RecordStore = DuckRecords([folder / RECORDS for folder in folders])
            self.text: TextIndex = TantivyText([folder / TEXT for folder in folders])
            self.vectors = FaissVectors([folder / VECTORS for folder in folders], sealed.dim)
            self.others = {
                space.fingerprint: FaissVectors(_holding(folders, space.fingerprint), space.dim)
                for space in sealed.others
            }
        except BaseException:
            if "records" in vars(self):
                self.records.close()
            self._release()
            raise

    @classmethod
    def open(cls, shelf: Path, snapshot_id: str, *, verify: bool = True) -> "Snapshot":
        """Raises NotFound, or CorruptError before anything damaged is loaded."""
        return cls(Path(shelf), read_manifest(shelf, snapshot_id), check=verify)

    def close(self) -> None:
        self.records.close()
        self._release()

    def _release(self) -> None:
        for lease in self._leases:
            lease.release()

    def __enter__(self) -> "Snapshot":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _holding(folders: Sequence[Path], fingerprint: str) -> list[Path]:
    """The vectors of a stand-in, of the shards that have any."""
    return [path for folder in folders if (path := folder / manifest.folder_of(fingerprint)).is_dir()]


# -- the pointer, in the words of snapshots


def current(shelf: Path) -> str | None:
    """The id of the snapshot in service; None before the first. Raises CorruptError."""
    return pointer.read(shelf).current


def history(shelf: Path) -> list[Move]:
    """Every move of the pointer, oldest first."""
    return list(pointer.read(shelf).moves)


def rollback(shelf: Path, snapshot_id: str, *, expect: str | None = ANY) -> None:
    """Put an older snapshot back into service, verified as at its publishing. Raises NotFound, CorruptError, PublishConflict."""
    sealed = read_manifest(shelf, snapshot_id)
    check(shelf, sealed)
    pointer.move(shelf, snapshot_id, "rollback", expect=expect, before=lambda: _must_be_there(shelf, sealed))


# -- publishing


def publish(
    shelf: Path,
    shard_ids: Sequence[str],
    *,
    measure: Measure | None = None,
    canaries: Complaints | None = None,
    announce: Announce | None = None,
    expect: str | None = ANY,
    min_recall: float = RECALL_GATE,
) -> SnapshotManifest:
    """Verify the shards together and put them into service; the same shards again are the same snapshot.

    `measure` gives the normalisers of the opened snapshot; `canaries` yields complaints, any of which stops the publishing;
    `expect` is the snapshot that must still be in service (None: none yet). Raises CorruptError naming what is wrong,
    PublishConflict when another publisher was first. Until the pointer moves nothing changes for any reader.
    """
    sealed = compose(shelf, shard_ids)
    check(shelf, sealed, min_recall=min_recall)
    with Snapshot(Path(shelf), sealed, check=False) as snapshot:
        if measure:
            normalisers = {name: tuple(map(float, values)) for name, values in measure(snapshot).items()}
            sealed = snapshot.manifest = identified(replace(sealed, normalisers=normalisers))
            snapshot.id, snapshot.normalisers = sealed.snapshot_id, sealed.normalisers
        if wrong := list(canaries(snapshot)) if canaries else []:
            raise CorruptError(f"The new snapshot does not answer as it should: {'; '.join(wrong)}")
        _write_manifest(shelf, sealed)
        if announce:
            announce(snapshot)
        pointer.move(shelf, sealed.snapshot_id, "publish", expect=expect)
    return sealed


def compose(shelf: Path, shard_ids: Sequence[str]) -> SnapshotManifest:
    """The manifest of these shards together. Raises CorruptError when they do not belong together."""
    shards = sorted((_shard_manifest(shelf, one) for one in shard_ids), key=lambda m: m.shard_index)
    for name in ("embed_fingerprint", "dim", "text_version", "shard_count"):
        if len(values := sorted({str(getattr(m, name)) for m in shards})) > 1:
            raise CorruptError(f"The shards differ in {name}: {', '.join(values)}.", cure="Seal them all again.")
    if len({m.shard_index for m in shards}) < len(shards):
        raise CorruptError("Two shards have one number: a snapshot takes one state of each.")
    first = shards[0] if shards else None
    return identified(
        SnapshotManifest(
            schema_version=manifest.SCHEMA_VERSION,
            snapshot_id="",
            shards=tuple(ShardRef(m.shard_id, m.frames) for m in shards),
            embed_fingerprint=first.embed_fingerprint if first else "",
            dim=first.dim if first else 0,
            text_version=first.text_version if first else TEXT_VERSION,
            videos=sum(len(m.videos) for m in shards),
            frames=sum(m.frames for m in shards),
            created_at=utc_now(),
            others=_together(shards),
        )
    )


def _together(shards: Sequence[ShardManifest]) -> tuple[SpaceRef, ...]:
    """The stand-ins' spaces of all shards. Raises CorruptError when one fingerprint has vectors of two sizes."""
    refs = [ref for shard in shards for ref in shard.others]
    spaces = sorted({(ref.fingerprint, ref.dim) for ref in refs})
    if len({name for name, _ in spaces}) < len(spaces) or any(
        name == s.embed_fingerprint for name, _ in spaces for s in shards
    ):
        raise CorruptError("The shards do not agree on a stand-in's vectors.", cure="Seal them all again.")
    return tuple(SpaceRef(n, dim, sum(r.frames for r in refs if r.fingerprint == n)) for n, dim in spaces)


def identified(sealed: SnapshotManifest) -> SnapshotManifest:
    return replace(sealed, snapshot_id=manifest.content_id(sealed, without=("snapshot_id", "created_at")))


def check(shelf: Path, sealed: SnapshotManifest, *, min_recall: float = RECALL_GATE) -> None:
    """Each shard by itself: checksums, equal ids in every store, its canaries, its recall. Raises NotFound or CorruptError."""
    for ref in sealed.shards:
        with open_shard(shelf, ref.shard_id) as shard:
            check_shard(shard, min_recall)


def check_shard(shard: Shard, min_recall: float) -> None:
    """Raises CorruptError."""
    spaces = [shard.vectors.ids(), *(index.ids() for index in shard.others.values())]
    ids = {
        "records": np.sort(shard.records.timeline().vector_ids),
        "vectors": np.sort(np.concatenate(spaces)),  # each frame in one space: an id in two would be a frame too many
        "text": shard.text.ids(),
    }
    counts = {name: len(found) for name, found in ids.items()} | {"manifest": shard.manifest.frames}
    if len(set(counts.values())) > 1 or not all(np.array_equal(found, ids["records"]) for found in ids.values()):
        raise CorruptError(f"Shard {shard.manifest.shard_id}: the stores hold different frames: {counts}.")
    if {v.video_id for v in shard.records.videos()} != shard.manifest.videos.keys():
        raise CorruptError(f"Shard {shard.manifest.shard_id}: the manifest names other videos than the records.")
    canaries.check(shard.folder, shard.vectors, shard.text)
    recall = min(index.measured_recall() for index in (shard.vectors, *shard.others.values()))
    if recall < min_recall:
        raise CorruptError(
            f"Shard {shard.manifest.shard_id}: recall@10 is {recall:.3f}, below {min_recall}.",
            cure="Seal it with a finer index.",
        )


def read_manifest(shelf: Path, snapshot_id: str) -> SnapshotManifest:
    """Raises NotFound or CorruptError."""
    if not SNAPSHOT_ID.fullmatch(snapshot_id):
        raise NotFound(f"“{snapshot_id[:60]}” is not a snapshot id.", cure="`khung snapshots` lists those there are.")
    sealed = manifest.read(Path(shelf) / SNAPSHOTS / f"{snapshot_id}.json", SnapshotManifest)
    if not sealed.snapshot_id == snapshot_id == identified(sealed).snapshot_id:
        raise CorruptError(f"The snapshot {snapshot_id} is damaged: its content has another hash.")
    return sealed


def _shard_manifest(shelf: Path, shard_id: str) -> ShardManifest:
    return manifest.read(shard_folder(shelf, shard_id) / manifest.MANIFEST, ShardManifest)


def _write_manifest(shelf: Path, sealed: SnapshotManifest) -> None:
    folder = Path(shelf) / SNAPSHOTS
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / f"{sealed.snapshot_id}.json", manifest.encode(sealed))


def _must_be_there(shelf: Path, sealed: SnapshotManifest) -> None:
    for ref in sealed.shards:
        _shard_manifest(shelf, ref.shard_id)
