"""Sealing and opening one shard."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from sample_frames import DIM, make_video
from sample_shelf import FAST, MODEL, make_input, make_library, seal_all, seal_one

from khung.errors import CorruptError, NotFound, StoreError
from khung.records import vector_id
from khung.shards import manifest
from khung.shards.manifest import SealedInput, ShardManifest, shard_of
from khung.shards.reader import open_shard, shard_folder
from khung.shards.writer import ASIDE, reseal, seal, text_fields
from khung.stores import TextClause
from khung.stores.vectors_build import IndexPolicy
from khung.stores.vectors_faiss import FaissVectors


def test_what_is_sealed_comes_back(tmp_path: Path) -> None:
    videos = make_library(3)
    sealed = seal_one(tmp_path, videos, models={"describer": "d1"})
    assert (sealed.frames, sorted(sealed.videos), sealed.dim, sealed.models) == (
        30, ["L00_V001", "L01_V001", "L02_V001"], DIM, {"describer": "d1"},
    )  # fmt: skip
    with open_shard(tmp_path, sealed.shard_id) as shard:
        assert shard.manifest == sealed
        assert len(shard.records) == len(shard.text) == len(shard.vectors) == 30
        record = videos[1].records[4]
        assert shard.records.frame(record.frame_id) == record
        assert np.abs(shard.vectors.reconstruct(vector_id(record.frame_id)) - videos[1].vectors[4]).max() < 1e-3
        term = text_fields(record)["vi_key"].split()[0]
        assert vector_id(record.frame_id) in {
            h.vector_id for h in shard.text.search([TextClause("vi_key", term)], limit=30)
        }


def test_the_id_follows_from_the_content(tmp_path: Path) -> None:
    """Another folder, another order, another time: the same id, and the same files but for the text engine's names."""
    one = seal_one(tmp_path / "a", make_library(3))
    two = seal_one(tmp_path / "b", list(reversed(make_library(3))))
    assert one.shard_id == two.shard_id
    same = [{f.path: f.sha256 for f in m.files if not f.path.startswith("text/")} for m in (one, two)]
    assert same[0] == same[1] and len(same[0]) >= 8


@pytest.mark.parametrize("change", ["vector", "caption", "shot", "video", "model", "policy", "count"])
def test_another_content_is_another_id(tmp_path: Path, change: str) -> None:
    before = seal_one(tmp_path, make_library(2)).shard_id
    one, two = make_library(2)
    options: dict = {}
    match change:
        case "vector":
            vectors = one.vectors.copy()
            vectors[3] = vectors[4]
            one = dataclasses.replace(one, vectors=vectors)
        case "caption":
            told = dataclasses.replace(one.records[0].description, captions={"vi": "khác"})
            one = dataclasses.replace(
                one, records=[dataclasses.replace(one.records[0], description=told), *one.records[1:]]
            )
        case "shot":
            one = dataclasses.replace(one, shots=one.shots[:1])
        case "video":
            one = dataclasses.replace(one, video=dataclasses.replace(one.video, source_name="other.mp4"))
        case "model":
            options = {"embed_fingerprint": "other"}
        case "policy":
            options = {"policy": FAST}
        case "count":
            index = shard_of(one.video.video_id, 2)
            assert seal_one(tmp_path, [one], index, 2).shard_id != seal_one(tmp_path, [one], 0, 1).shard_id
            return
    assert seal_one(tmp_path, [one, two], **options).shard_id != before


def test_sealing_again_changes_nothing_on_disk(tmp_path: Path) -> None:
    sealed = seal_one(tmp_path, make_library(2))
    folder = shard_folder(tmp_path, sealed.shard_id)
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}
    again = seal_one(tmp_path, make_library(2))
    assert again == sealed
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}.items() >= before.items()
    assert list((tmp_path / ASIDE).iterdir()) == []


def test_an_empty_shard(tmp_path: Path) -> None:
    sealed = seal_one(tmp_path, [])
    with open_shard(tmp_path, sealed.shard_id) as shard:
        assert len(shard.records) == len(shard.text) == len(shard.vectors) == sealed.frames == 0
        assert list(shard.inputs()) == []


def test_a_video_without_frames(tmp_path: Path) -> None:
    sealed = seal_one(tmp_path, [make_input("silent", 0), make_input("L00_V001")])
    with open_shard(tmp_path, sealed.shard_id) as shard:
        assert [v.video_id for v in shard.records.videos()] == ["L00_V001", "silent"]
        assert len(shard.vectors) == 10


@pytest.mark.parametrize("policy", [None, FAST])
def test_taking_out_and_sealing_again_loses_nothing(tmp_path: Path, policy: object) -> None:
    sealed = seal_one(tmp_path, make_library(4), policy=policy)
    with open_shard(tmp_path, sealed.shard_id) as shard:
        assert shard.manifest.index_kind == ("sq8" if policy else "none")
        again = seal_one(tmp_path / "again", list(shard.inputs()), policy=policy)
    assert again.shard_id == sealed.shard_id and again.videos == sealed.videos


def test_large_shards_share_one_coarse_quantiser(tmp_path: Path) -> None:
    """Trained by the first, taken by the next, also after a model's name was seen before; another model has its own."""
    lists = IndexPolicy(exact_up_to=5, sq8_up_to=5, recall_at_10=0.0)
    videos = [make_input(f"v{n}", 40) for n in range(12)]
    seal_all(tmp_path, videos, 3, policy=lists)
    kinds = [kind for f in (tmp_path / "shards").iterdir() for kind in FaissVectors([f / "vectors"], DIM).kinds]
    assert {kind.kind for kind in kinds} == {"ivf"} and len(kinds) == 3
    assert len({kind.coarse for kind in kinds}) == 1
    assert seal_all(tmp_path, videos, 3, policy=lists) == sorted(f.name for f in (tmp_path / "shards").iterdir())
    seal_all(tmp_path, videos, 3, policy=lists, embed_fingerprint="other")
    assert len(list((tmp_path / "coarse").glob("*.npy"))) == 2


def test_reseal_reads_only_what_changed(tmp_path: Path) -> None:
    before = seal_one(tmp_path, make_library(4))
    new, changed = make_input("L09_V001"), make_input("L01_V001", 7, seed=5)
    after = reseal(tmp_path, before.shard_id, [new, changed], gone=["L02_V001", "never-there"])
    others = [v for v in make_library(4) if v.video.video_id in {"L00_V001", "L03_V001"}]
    assert after.shard_id == seal_one(tmp_path / "whole", [*others, new, changed]).shard_id
    assert after.videos["L00_V001"] == before.videos["L00_V001"]
    assert after.videos["L01_V001"] != before.videos["L01_V001"]
    assert reseal(tmp_path, before.shard_id, []).shard_id == before.shard_id


def test_every_video_has_its_shard(tmp_path: Path) -> None:
    names = [f"L{i:04}" for i in range(2000)]
    counts = np.bincount([shard_of(name, 16) for name in names], minlength=16)
    assert counts.min() > 80 and counts.max() < 170
    assert [shard_of("L21_V001", n) for n in (1, 16, 1024)] == [0, 8, 472]
    wrong = next(n for n in names if shard_of(n, 4) != 0)
    with pytest.raises(StoreError, match="belongs to shard"):
        seal_one(tmp_path, [make_input(wrong)], 0, 4)


def bad_inputs() -> dict[str, SealedInput]:
    good = make_input("v", 3)
    nan = good.vectors.copy()
    nan[1, 2] = np.nan
    return {
        "a vector missing": dataclasses.replace(good, vectors=good.vectors[:2]),
        "wrong dimensions": dataclasses.replace(good, vectors=np.ones((3, DIM + 1), np.float32)),
        "not a number": dataclasses.replace(good, vectors=nan),
        "all zero": dataclasses.replace(good, vectors=np.zeros((3, DIM), np.float32)),
        "a frame twice": dataclasses.replace(good, records=[good.records[0], *good.records[:2]]),
        "another video's frame": dataclasses.replace(good, video=make_video("w")),
    }


@pytest.mark.parametrize("name", bad_inputs())
def test_input_that_does_not_fit_together_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError):
        seal_one(tmp_path, [bad_inputs()[name]])
    assert not (tmp_path / "shards").exists()
    assert not (tmp_path / ASIDE).exists() or list((tmp_path / ASIDE).iterdir()) == []


def test_a_video_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="twice"):
        seal_one(tmp_path, [make_input("v"), make_input("v", 3)])


@pytest.mark.parametrize("shard_id", ["", "..", "../x", "000-zz", "nope", "000-0123456789abcdeF"])
def test_an_id_that_is_none(tmp_path: Path, shard_id: str) -> None:
    with pytest.raises(NotFound):
        open_shard(tmp_path, shard_id)


def test_a_shard_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        open_shard(tmp_path, "000-0123456789abcdef")


def test_a_newer_or_older_schema_is_refused(tmp_path: Path) -> None:
    sealed = seal_one(tmp_path, make_library(1))
    path = shard_folder(tmp_path, sealed.shard_id) / manifest.MANIFEST
    for version, cure in ((manifest.SCHEMA_VERSION + 1, "Update khung"), (0, "seals the shards again")):
        path.write_bytes(manifest.encode(dataclasses.replace(sealed, schema_version=version)))
        with pytest.raises(CorruptError, match=cure):
            open_shard(tmp_path, sealed.shard_id)
    newer = {"schema_version": 99, "unheard_of": [1]}
    path.write_bytes(manifest.encode(newer))
    with pytest.raises(CorruptError, match="Update khung"):
        open_shard(tmp_path, sealed.shard_id)


def test_a_manifest_in_the_wrong_folder_is_refused(tmp_path: Path) -> None:
    one, two = seal_one(tmp_path, make_library(1)), seal_one(tmp_path, make_library(2))
    shard_folder(tmp_path, one.shard_id).rename(tmp_path / "away")
    shard_folder(tmp_path, two.shard_id).rename(shard_folder(tmp_path, one.shard_id))
    with pytest.raises(CorruptError, match="says that it is"):
        open_shard(tmp_path, one.shard_id)


def test_manifests_survive_their_json(tmp_path: Path) -> None:
    sealed = seal_one(tmp_path, make_library(2))
    assert manifest.decode(manifest.encode(sealed), ShardManifest, "m") == sealed


def test_an_unknown_option_is_not_swallowed(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        seal(tmp_path, 0, [], shard_count=1, embed_fingerprint=MODEL, dim=DIM, nlist=5)
