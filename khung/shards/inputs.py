"""What goes into a seal, put in order and checked: videos by id, frames by number, every frame in exactly one vector space.

Nothing is written here: that is writer.py.
"""

from collections.abc import Sequence

import numpy as np

from khung.errors import StoreError
from khung.records import frame_id, vector_id
from khung.shards import manifest
from khung.shards.manifest import SealedInput, SpaceVectors, shard_of
from khung.stores import tables


def ordered(one: SealedInput, dim: int) -> SealedInput:
    """The same with frames, shots and vectors in their order. Raises StoreError when there is not one vector a record."""
    vectors = np.asarray(one.vectors, np.float32).reshape(-1, dim) if len(one.vectors) == 0 else np.asarray(one.vectors)
    if vectors.shape != (len(one.records), dim):
        raise StoreError(
            f"{one.video.video_id}: {len(one.records)} records and vectors of shape {vectors.shape}, not {dim}."
        )
    order = sorted(range(len(one.records)), key=lambda i: one.records[i].keyframe.frame_index)
    shots = sorted(one.shots, key=lambda shot: shot.shot_index)
    others = {name: _by_frame(held) for name, held in sorted(one.others.items()) if len(held.frames)}
    return SealedInput(one.video, shots, [one.records[i] for i in order], vectors[order], others)


def _by_frame(held: SpaceVectors) -> SpaceVectors:
    order = np.argsort(held.frames, kind="stable")
    return SpaceVectors(np.asarray(held.frames, np.int64)[order], np.asarray(held.vectors, np.float32)[order])


def check(inputs: Sequence[SealedInput], shard_index: int, shard_count: int) -> None:
    """Raises StoreError for what cannot be sealed together in that shard."""
    for one in inputs:
        video_id = one.video.video_id
        if shard_of(video_id, shard_count) != shard_index:
            raise StoreError(f"{video_id} belongs to shard {shard_of(video_id, shard_count)}, not {shard_index}.")
        frames = [record.keyframe.frame_index for record in one.records]
        if any(record.video_id != video_id for record in one.records) or len(set(frames)) < len(frames):
            raise StoreError(f"{video_id} has a frame twice or a frame of another video.")
        _check_spaces(one, frames)
    names = [one.video.video_id for one in inputs]
    if len(set(names)) < len(names):
        raise StoreError("A video was given twice.")


def _check_spaces(one: SealedInput, frames: Sequence[int]) -> None:
    """Every frame in one space: its own vector, or one of a stand-in, never both and never none."""
    held = [np.asarray(frames, np.int64)[one.own], *(other.frames for other in one.others.values())]
    if sorted(np.concatenate(held).tolist()) != sorted(frames):
        raise StoreError(
            f"{one.video.video_id}: not every frame is in exactly one vector space.", cure="Embed it again."
        )


def spaces(inputs: Sequence[SealedInput]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Fingerprint → (vector ids, vectors) of the spaces beside the embedder's own."""
    found: dict[str, list[tuple[list[int], np.ndarray]]] = {}
    for one in inputs:
        for name, held in one.others.items():
            ids = [vector_id(frame_id(one.video.video_id, int(frame))) for frame in held.frames]
            found.setdefault(name, []).append((ids, held.vectors))
    for name, parts in found.items():
        if len(sizes := {vectors.shape[1] for _, vectors in parts}) > 1:
            raise StoreError(f"Vectors of {name} have {' and '.join(map(str, sorted(sizes)))} dimensions.")
    return {
        name: (np.array([i for ids, _ in parts for i in ids], np.int64), np.concatenate([v for _, v in parts]))
        for name, parts in sorted(found.items())
    }


def video_digest(one: SealedInput) -> str:
    """What would be sealed of the video, as 32 hex digits: another digest is another content."""
    rows = [tables.to_json(record) for record in one.records]
    shots = [tables.to_json(shot) for shot in one.shots]
    vectors = np.asarray(one.vectors, np.float16).tobytes()
    others = [
        part
        for name, held in sorted(one.others.items())
        for part in (name.encode(), held.frames.tobytes(), np.asarray(held.vectors, np.float16).tobytes())
    ]
    return manifest.digest([tables.to_json(one.video), b"".join(shots), b"\n".join(rows), vectors, *others])[:32]
