"""Frames whose vectors are of another model: sealed apart, counted together, never mixed, and carried through every later seal."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sample_frames import make_vectors
from sample_shelf import MODEL, make_input, make_library, seal_all, seal_one

from khung.errors import CorruptError, StoreError
from khung.records import vector_id
from khung.shards import manifest
from khung.shards.manifest import SealedInput, ShardManifest, SpaceVectors
from khung.shards.reader import open_shard
from khung.shards.rescale import rescale
from khung.shards.snapshot import Snapshot, compose, publish, read_manifest
from khung.shards.writer import reseal
from khung.stores import tables

OTHER, DIM = "stand-in@1", 8
FALLEN = (25, 75)  # frame indices


def fallen(video_id: str, frames: tuple[int, ...] = FALLEN, name: str = OTHER, dim: int = DIM) -> SealedInput:
    """A video whose embedder failed on some frames."""
    one = make_input(video_id)
    own = one.vectors.copy()
    own[[record.keyframe.frame_index in frames for record in one.records]] = 0
    theirs = SpaceVectors(np.array(frames, np.int64), make_vectors(len(frames), dim=dim, seed=len(video_id)))
    return replace(one, vectors=own, others={name: theirs})


def id_of(video_id: str, frame: int) -> int:
    return vector_id(f"{video_id}/{frame}")


def test_a_shard_keeps_two_spaces_apart_and_gives_them_back(tmp_path: Path) -> None:
    whole, some = make_input("whole"), fallen("some")
    sealed = seal_one(tmp_path, [whole, some])
    assert [(space.fingerprint, space.dim, space.frames) for space in sealed.others] == [(OTHER, DIM, 2)]
    assert sealed.frames == 20
    with open_shard(tmp_path, sealed.shard_id) as shard:
        assert (len(shard.records), len(shard.vectors), len(shard.others[OTHER])) == (20, 18, 2)
        assert id_of("some", 25) not in shard.vectors.ids()
        back = {one.video.video_id: one for one in shard.inputs()}
        assert back["whole"].others == {}
        np.testing.assert_array_equal(back["some"].others[OTHER].frames, FALLEN)
        np.testing.assert_allclose(back["some"].others[OTHER].vectors, some.others[OTHER].vectors, atol=1e-3)
        np.testing.assert_array_equal(back["some"].own, some.own)
    assert seal_one(tmp_path, list(back.values())).shard_id == sealed.shard_id, (
        "what comes out goes in again, without loss"
    )


def test_what_has_no_stand_ins_is_what_it_always_was(tmp_path: Path) -> None:
    """Ids are hashes of the content: those of libraries that exist must not change, and their manifests must still be read."""
    sealed = seal_one(tmp_path, make_library(2))
    snapshot = compose(tmp_path, [sealed.shard_id])
    fields = {name: getattr(snapshot, name) for name in snapshot.__slots__}
    for name in ("snapshot_id", "created_at", "others"):
        del fields[name]
    assert snapshot.snapshot_id == manifest.digest([tables.to_json(fields)])[:16]
    plain = json.loads(tables.to_json(sealed))
    del plain["others"]
    assert manifest.decode(manifest.encode(plain), ShardManifest, "an older manifest") == sealed


def test_what_was_embedded_again_leaves_the_other_space(tmp_path: Path) -> None:
    old = seal_one(tmp_path, [make_input("whole"), fallen("some")])
    new = reseal(tmp_path, old.shard_id, [make_input("some")])
    assert (new.others, new.frames) == ((), 20)
    assert new.shard_id == seal_one(tmp_path, [make_input("whole"), make_input("some")]).shard_id


def test_a_snapshot_opens_each_space_over_all_its_shards(tmp_path: Path) -> None:
    videos = [*make_library(5), fallen("some"), fallen("more", (0,))]
    ids = seal_all(tmp_path, videos)
    published = publish(tmp_path, ids)
    assert [(space.fingerprint, space.frames) for space in published.others] == [(OTHER, 3)]
    assert read_manifest(tmp_path, published.snapshot_id).others == published.others
    with Snapshot.open(tmp_path, published.snapshot_id) as here:
        assert (len(here.records), len(here.vectors), len(here.others[OTHER])) == (70, 67, 3)
        query = videos[-1].others[OTHER].vectors
        assert here.others[OTHER].search(query, 1)[1].tolist() == [[id_of("more", 0)]]


def test_all_of_a_video_may_have_fallen(tmp_path: Path) -> None:
    every = tuple(range(0, 250, 25))
    sealed = seal_one(tmp_path, [fallen("all", every)])
    assert publish(tmp_path, [sealed.shard_id]).others[0].frames == 10


def test_rescaling_takes_both_spaces_along(tmp_path: Path) -> None:
    ids = seal_all(tmp_path, [*make_library(4), fallen("some"), fallen("more")])
    again = rescale(tmp_path, ids, 3)
    assert sum(space.frames for shard in again for space in shard.others) == 4
    publish(tmp_path, [shard.shard_id for shard in again])


@pytest.mark.parametrize("wrong", ["both", "neither", "unknown frame"])
def test_a_frame_is_in_exactly_one_space(tmp_path: Path, wrong: str) -> None:
    one = fallen("some")
    if wrong == "both":
        one = replace(one, vectors=make_input("some").vectors)
    elif wrong == "neither":
        one = replace(one, others={})
    else:
        one = replace(one, others={OTHER: SpaceVectors(np.array([25, 76]), one.others[OTHER].vectors)})
    with pytest.raises(StoreError, match="exactly one vector space"):
        seal_one(tmp_path, [one])


def test_a_space_of_two_sizes_is_refused(tmp_path: Path) -> None:
    videos = [fallen(f"v{n}", dim=DIM + n % 2) for n in range(8)]
    with pytest.raises(StoreError, match=r"stand-in|dimensions"):
        publish(tmp_path, seal_all(tmp_path, videos))


def test_the_embedder_itself_is_no_stand_in(tmp_path: Path) -> None:
    sealed = seal_one(tmp_path, [fallen("some", name=MODEL)])
    with pytest.raises(CorruptError, match="stand-in"):
        publish(tmp_path, [sealed.shard_id])


def test_damage_to_a_stand_ins_vectors_is_found(tmp_path: Path) -> None:
    sealed = seal_one(tmp_path, [fallen("some")])
    (path,) = (tmp_path / "shards" / sealed.shard_id).glob("vectors-*/exact.faiss")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(CorruptError, match="checksum"):
        open_shard(tmp_path, sealed.shard_id)
