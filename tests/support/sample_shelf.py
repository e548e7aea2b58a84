"""Shelves made from the sample frames."""

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sample_frames import DIM, make_records, make_shots, make_vectors, make_video

from khung.shards.manifest import SealedInput, ShardManifest, shard_of
from khung.shards.writer import seal
from khung.stores.vectors_build import IndexPolicy

MODEL = "sample-embedder"


def make_input(video_id: str, frames: int = 10, *, seed: int = 0) -> SealedInput:
    own = zlib.crc32(video_id.encode())
    vectors = make_vectors(frames, seed=own + seed) if frames else np.zeros((0, DIM), np.float32)
    return SealedInput(
        make_video(video_id, frames), make_shots(video_id, frames), make_records(video_id, frames), vectors
    )


def seal_one(
    shelf: Path, videos: Sequence[SealedInput], index: int = 0, count: int = 1, **options: object
) -> ShardManifest:
    return seal(shelf, index, videos, **{"shard_count": count, "embed_fingerprint": MODEL, "dim": DIM} | options)


def seal_all(shelf: Path, videos: Sequence[SealedInput], count: int = 4, **options: object) -> list[str]:
    """Every shard of the library, empty ones too; their ids."""
    return [
        seal_one(shelf, [v for v in videos if shard_of(v.video.video_id, count) == i], i, count, **options).shard_id
        for i in range(count)
    ]


def make_library(videos: int = 6, frames: int = 10, *, seed: int = 0) -> list[SealedInput]:
    return [make_input(f"L{i:02}_V001", frames, seed=seed) for i in range(videos)]


FAST = IndexPolicy(exact_up_to=20, sq8_up_to=10**6)
