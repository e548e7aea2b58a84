"""Sealing: what is known of a shard's videos becomes one immutable folder, written aside and renamed.

The shard's id is the hash of its content, so sealing the same twice is one shard, and a crash leaves only a folder aside that no
one names. What fits into a shard is inputs.py; what goes into a snapshot is decided elsewhere.
"""

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from khung.errors import KhungError, StoreError
from khung.records import FrameRecord, vector_id
from khung.shards import canaries, coarse, inputs, manifest
from khung.shards.manifest import SealedFile, SealedInput, ShardManifest, SpaceRef
from khung.shards.reader import RECORDS, TEXT, VECTORS, open_shard, shard_folder
from khung.stores import records_duckdb, tables, text_tantivy, vectors_build, vectors_faiss
from khung.stores.durable import sync_file, sync_folder
from khung.stores.vectors_build import Fast, IndexPolicy
from khung.text.fields import FACETS, TEXT_VERSION, fields
from khung.timecode import utc_now

ASIDE = ".aside"


def seal(
    shelf: Path,
    shard_index: int,
    videos: Iterable[SealedInput],
    *,
    shard_count: int,
    embed_fingerprint: str,
    dim: int,
    models: Mapping[str, str] | None = None,
    policy: IndexPolicy | None = None,
) -> ShardManifest:
    """Seal one shard and return its manifest. No videos make an empty shard.

    Raises StoreError when the input does not fit together (a video of another shard, a record without its vector, a vector
    that is not finite and of unit length) and when the disk refuses.
    """
    whole = sorted((inputs.ordered(one, dim) for one in videos), key=lambda one: one.video.video_id)
    inputs.check(whole, shard_index, shard_count)
    policy = policy or IndexPolicy()
    centroids = coarse.shared(shelf, whole, shard_count, embed_fingerprint, policy)
    header = {
        "schema_version": manifest.SCHEMA_VERSION, "shard_index": shard_index, "shard_count": shard_count,
        "embed_fingerprint": embed_fingerprint, "dim": dim, "models": dict(models or {}), "text_version": TEXT_VERSION,
        "videos": {one.video.video_id: inputs.video_digest(one) for one in whole},
    }  # fmt: skip
    spaces = inputs.spaces(whole)
    if spaces:  # a shard without them keeps the id that it has always had
        header["others"] = tuple(SpaceRef(name, v.shape[1], len(v)) for name, (_, v) in spaces.items())
    recipe = [tables.to_json(header | {"policy": asdict(policy)}), b"" if centroids is None else centroids.tobytes()]
    shard_id = f"{shard_index:03}-{manifest.digest(recipe)[:16]}"
    if sound := _sealed_before(shelf, shard_id):
        return sound
    aside = _make_aside(shelf, shard_id)
    try:
        fast = _write(aside, whole, dim, policy, centroids, spaces)
        sealed = ShardManifest(
            **header, shard_id=shard_id, frames=sum(len(one.records) for one in whole), index_kind=fast.kind,
            recall_at_10=fast.recall_at_10, created_at=utc_now(), files=_hashed(aside),
        )  # fmt: skip
        (aside / manifest.MANIFEST).write_bytes(manifest.encode(sealed))
        settle(aside, shard_folder(shelf, shard_id))
    except OSError as error:
        raise StoreError(f"Shard {shard_id} could not be written: {error}.", cure="Is the disk full?") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return open_manifest(shelf, shard_id)


def reseal(
    shelf: Path,
    previous_id: str,
    changed: Iterable[SealedInput],
    *,
    gone: Iterable[str] = (),
    policy: IndexPolicy | None = None,
) -> ShardManifest:
    """The previous shard with some videos put in, replaced or taken out; nothing else is read or embedded again."""
    with open_shard(shelf, previous_id) as previous:
        new = {one.video.video_id: one for one in changed}
        dropped = new.keys() | set(gone)
        kept = [one for one in previous.inputs() if one.video.video_id not in dropped]
        old = previous.manifest
    return seal(
        shelf, old.shard_index, [*kept, *new.values()], shard_count=old.shard_count,
        embed_fingerprint=old.embed_fingerprint, dim=old.dim, models=old.models, policy=policy,
    )  # fmt: skip


def open_manifest(shelf: Path, shard_id: str) -> ShardManifest:
    """Raises NotFound or CorruptError."""
    return manifest.read(shard_folder(shelf, shard_id) / manifest.MANIFEST, ShardManifest)


def _sealed_before(shelf: Path, shard_id: str) -> ShardManifest | None:
    """A sound shard of that id, if there is one; a damaged one is moved out of the way."""
    folder = shard_folder(shelf, shard_id)
    if not folder.exists():
        return None
    try:
        with open_shard(shelf, shard_id) as shard:
            os.utime(folder)  # wanted again: as young as a new one to the collector
            return shard.manifest
    except KhungError:
        folder.rename(_make_aside(shelf, f"damaged-{shard_id}") / "shard")
        return None


def _make_aside(shelf: Path, name: str) -> Path:
    aside = shelf / ASIDE / f"{name}-{secrets.token_hex(6)}"
    aside.mkdir(parents=True)
    return aside


def _write(
    folder: Path,
    whole: Sequence[SealedInput],
    dim: int,
    policy: IndexPolicy,
    centroids: np.ndarray | None,
    spaces: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> Fast:
    for name in (RECORDS, TEXT, VECTORS, *map(manifest.folder_of, spaces)):
        (folder / name).mkdir()
    records = [record for one in whole for record in one.records]
    ids = np.array([vector_id(record.frame_id) for record in records], np.int64)
    shots = [shot for one in whole for shot in one.shots]
    records_duckdb.write_part(folder / RECORDS, [one.video for one in whole], shots, records)
    words = [text_fields(record) for record in records]
    text_tantivy.write_part(folder / TEXT, zip(ids.tolist(), words, strict=True))
    own = np.concatenate([np.zeros(0, bool), *(one.own for one in whole)])
    vectors = np.concatenate([np.zeros((0, dim), np.float32), *(one.vectors for one in whole)])
    fast = vectors_build.write_part(folder / VECTORS, ids[own], vectors[own], policy, centroids=centroids)
    for name, (some, theirs) in spaces.items():
        vectors_build.write_part(folder / manifest.folder_of(name), some, theirs, policy)
    indexes = vectors_faiss.FaissVectors([folder / VECTORS], dim), text_tantivy.TantivyText([folder / TEXT])
    asked = np.flatnonzero(own)
    chosen = canaries.choose([records[i] for i in asked], [words[i]["vi_key"] for i in asked], *indexes)
    (folder / canaries.CANARIES).write_bytes(manifest.encode(chosen))
    return fast


def text_fields(record: FrameRecord) -> dict[str, str]:
    """What both text engines index of a record."""
    captions = record.description.captions
    shown = "\n".join(line.text for line in record.screen_text)
    words = fields(captions.get("vi", ""), captions.get("en", ""), shown)
    return words | {
        FACETS: "\n".join(f"{name}={' '.join(value.split())}" for name, value in records_duckdb.facets_of(record))
    }


def _hashed(folder: Path) -> tuple[SealedFile, ...]:
    """Every file, made durable; hidden files are the text engine's bookkeeping for writers, and go."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if path.name.startswith("."):
            path.unlink()
            continue
        sync_file(path)
        with open(path, "rb") as data:
            checksum = hashlib.file_digest(data, "sha256").hexdigest()
        found.append(SealedFile(path.relative_to(folder).as_posix(), path.stat().st_size, checksum))
    return tuple(found)


def settle(aside: Path, final: Path) -> None:
    """Give the folder its name. Another process may have sealed the same content first: then that one stands."""
    sync_file(aside / manifest.MANIFEST)
    for folder in [aside, *(p for p in aside.rglob("*") if p.is_dir())]:
        sync_folder(folder)
    final.parent.mkdir(exist_ok=True)
    try:
        os.rename(aside, final)
    except OSError:
        if not final.is_dir():
            raise
    sync_folder(final.parent)
