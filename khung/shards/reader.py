"""Opening a sealed shard: checksums first, then the stores. An open shard is leased, so that no collector takes it away.

Nothing here writes; asking many shards as one is snapshot.py.
"""

import fcntl
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path

import numpy as np

from khung.errors import CorruptError, NotFound
from khung.records import vector_id
from khung.shards import manifest
from khung.shards.manifest import SealedInput, ShardManifest, SpaceVectors
from khung.stores.idsets import is_in
from khung.stores.records_duckdb import DuckRecords
from khung.stores.text_tantivy import TantivyText
from khung.stores.vectors_faiss import FaissVectors

SHARDS, RECORDS, TEXT, VECTORS = "shards", "records", "text", "vectors"
_AT_ONCE = 1 << 18
_SHARD_ID = re.compile(r"[0-9]{3,4}-[0-9a-f]{16}")


def shard_folder(shelf: Path, shard_id: str) -> Path:
    """Raises NotFound for what cannot be a shard id."""
    if not _SHARD_ID.fullmatch(shard_id):
        raise NotFound(f"“{shard_id[:60]}” is not a shard id.")
    return Path(shelf) / SHARDS / shard_id


class Lease:
    """A shared lock on a shard's manifest. The kernel lets go of it when its holder dies."""

    def __init__(self, folder: Path) -> None:
        path = folder / manifest.MANIFEST
        try:
            self._handle = open(path, "rb")  # noqa: SIM115 held until release
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFound(f"There is no shard {folder.name}.") from error
        fcntl.flock(self._handle, fcntl.LOCK_SH)
        try:
            moved = os.stat(path).st_ino != os.fstat(self._handle.fileno()).st_ino
        except FileNotFoundError:
            moved = True
        if moved:  # collected between the opening and the lock
            self.release()
            raise NotFound(f"The shard {folder.name} has just been collected.")

    def release(self) -> None:
        self._handle.close()


def verify(folder: Path, sealed: ShardManifest) -> None:
    """Every file's length and SHA-256. Raises CorruptError naming the first that disagrees."""
    for file in sealed.files:
        path = f"{folder}/{file.path}"
        try:
            with open(path, "rb", buffering=0) as data:
                same = (
                    os.fstat(data.fileno()).st_size == file.size_bytes and _sha256(data, file.size_bytes) == file.sha256
                )
        except OSError as error:
            raise CorruptError(f"{path} cannot be read: {error}.", cure="Seal the shard again.") from error
        if not same:
            raise CorruptError(f"{path} is damaged: its checksum disagrees.", cure="Seal the shard again.")


def _sha256(data: FileIO, size_bytes: int) -> str:
    """Most files of a shard are small: those are read at once."""
    if size_bytes <= _AT_ONCE:
        return hashlib.sha256(data.read()).hexdigest()
    return hashlib.file_digest(data, "sha256").hexdigest()


class Shard:
    """One open shard: `manifest`, `records`, `text`, `vectors`, and `others`: vectors of stand-ins by fingerprint. A context
    manager."""

    def __init__(self, folder: Path, *, check: bool = True) -> None:
        self.folder = folder
        self._lease = Lease(folder)
        try:
            self.manifest = manifest.read(folder / manifest.MANIFEST, ShardManifest)
            if self.manifest.shard_id != folder.name:
                raise CorruptError(f"{folder} says that it is {self.manifest.shard_id}.")
            if check:
                verify(folder, self.manifest)
            self.records = DuckRecords([folder / RECORDS])
            self.text = TantivyText([folder / TEXT])
            self.vectors = FaissVectors([folder / VECTORS], self.manifest.dim)
            self.others = {
                space.fingerprint: FaissVectors([folder / manifest.folder_of(space.fingerprint)], space.dim)
                for space in self.manifest.others
            }
        except BaseException:
            if "records" in vars(self):
                self.records.close()
            self._lease.release()
            raise

    def inputs(self, wanted: Callable[[str], bool] = lambda _: True) -> Iterator[SealedInput]:
        """What was sealed, by video, without loss, of the videos that are wanted: as it goes into the next seal."""
        mine = self.vectors.ids()
        for video_id in filter(wanted, sorted(self.manifest.videos)):
            records = self.records.frames_of(video_id)
            ids = np.array([vector_id(r.frame_id) for r in records], np.int64)
            frames = np.array([r.keyframe.frame_index for r in records], np.int64)
            vectors = np.zeros((len(records), self.manifest.dim), np.float32)
            own = is_in(ids, mine)
            vectors[own] = self.vectors.stored(ids[own])
            others = {name: _some(index, ids, frames) for name, index in self.others.items()}
            others = {name: held for name, held in others.items() if len(held.frames)}
            yield SealedInput(self.records.video(video_id), self.records.shots(video_id), records, vectors, others)

    def close(self) -> None:
        self.records.close()
        self._lease.release()

    def __enter__(self) -> "Shard":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _some(index: FaissVectors, ids: np.ndarray, frames: np.ndarray) -> SpaceVectors:
    """Those of a video's frames that lie in the index."""
    here = is_in(ids, index.ids())
    return SpaceVectors(frames[here], index.stored(ids[here]))


def open_shard(shelf: Path, shard_id: str, verify: bool = True) -> Shard:
    """Raises NotFound, or CorruptError when a checksum disagrees."""
    return Shard(shard_folder(shelf, shard_id), check=verify)
