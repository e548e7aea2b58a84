"""The names and codecs of the per-video files."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from khung.errors import CorruptError, MediaError, NotFound, StoreError
from khung.records import Description, Keyframe, Region, Shot, TextLine, Video
from khung.stores.archive_local import LocalArchive
from khung.stores.library import IMAGE_TYPES, FrameNotes, Library


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(LocalArchive(tmp_path / "archive"))


def make_video(video_id: str = "v") -> Video:
    return Video(video_id, "a" * 64, "tên lạ.mp4", f"media/{video_id}.mp4", 9, "mp4", "h264", 320, 180, 0, 30000, 1001,
                 False, 90, 3003, True, warnings=("truncated_tail",))  # fmt: skip


def test_videos(library: Library) -> None:
    assert library.video_ids() == []
    library.put_video(make_video("b"))
    library.put_video(make_video("a"))
    library.put_shots("unprobed", [])
    assert library.video_ids() == ["a", "b"]
    assert library.video("a") == make_video("a")
    with pytest.raises(NotFound):
        library.video("c")


@pytest.mark.parametrize("video_id", ["", "../v", "a/b", "a b", "đ", "a\n", "x" * 121])
def test_a_video_id_is_checked_before_it_becomes_a_path(library: Library, video_id: str) -> None:
    with pytest.raises(MediaError):
        library.put_shots(video_id, [])
    with pytest.raises(MediaError):
        library.delete_video(video_id)


def test_media_is_copied_under_a_plain_name(library: Library, tmp_path: Path) -> None:
    source = tmp_path / "Bản tin.MP4"
    source.write_bytes(b"movie")
    assert library.put_media("v", source) == "media/v.mp4"
    assert library.archive.get_bytes("media/v.mp4") == b"movie"
    odd = source.rename(tmp_path / "clip.thế nào")
    assert library.put_media("v", odd) == "media/v.bin"


def test_shots_keyframes_signals(library: Library) -> None:
    shots = [
        Shot("v", 0, 0, 50, 0, 2000),
        Shot("v", 1, 50, 90, 2000, 3600, "gradual", ("transnet",), 0.75, (1900, 2100)),
    ]
    keyframes = [Keyframe("v", 7, 280, 0, 0.5, 0.25, 0.125, 1.0, 2**64 - 1, (8, 9))]
    signals = {"motion": np.linspace(0, 1, 90, dtype=np.float32), "cuts": np.array([True, False])}
    library.put_shots("v", shots)
    library.put_keyframes("v", keyframes)
    library.put_signals("v", signals)
    assert library.shots("v") == shots
    assert library.keyframes("v") == keyframes
    back = library.signals("v")
    assert sorted(back) == ["cuts", "motion"]
    assert all(np.array_equal(back[k], signals[k]) and back[k].dtype == signals[k].dtype for k in back)


def test_candidates_come_back_read_only(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "extraction"
    folder.mkdir()
    (folder / "00000001.jpg").write_bytes(b"jpeg")
    (folder / "candidates.json").write_bytes(b"[]")
    (folder / "inside").mkdir()
    library.put_candidates("v", folder)
    with library.candidates_dir("v") as unpacked:
        assert sorted(p.name for p in unpacked.iterdir()) == ["00000001.jpg", "candidates.json"]
        assert (unpacked / "00000001.jpg").read_bytes() == b"jpeg"
        assert (unpacked / "00000001.jpg").stat().st_mode & 0o222 == 0
    assert not unpacked.exists()


def test_a_zip_with_paths_is_refused(library: Library, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as bad:
        bad.writestr("../../evil", "x")
    library.archive.put_file("videos/v/candidates.zip", tmp_path / "bad.zip")
    with pytest.raises(CorruptError, match="evil"), library.candidates_dir("v"):
        pass
    library.archive.put_bytes("videos/v/candidates.zip", b"no zip")
    with pytest.raises(CorruptError), library.candidates_dir("v"):
        pass


def test_images(library: Library) -> None:
    for variant in IMAGE_TYPES:
        key = library.put_image("v", 12, variant, variant.encode())
        assert key == library.image_key("v", 12, variant) == f"frames/v/00000012/{variant}"
        assert library.archive.get_bytes(key) == variant.encode()
    with pytest.raises(NotFound):
        library.put_image("v", 12, "huge.png", b"")
    assert library.put_sheet("v", b"sheet") == library.sheet_key("v") == "videos/v/sheet.webp"


def test_embeddings_of_two_models_stand_beside_each_other(library: Library) -> None:
    frames = np.array([3, 9, 20])
    one = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
    library.put_embeddings("v", "model-one", frames, one)
    library.put_embeddings("v", "model-two", [3], np.ones((1, 4)))
    got_frames, got = library.embeddings("v", "model-one")
    assert got_frames.dtype == np.int64 and got.dtype == np.float32
    assert np.array_equal(got_frames, frames) and np.array_equal(got, one)
    assert library.embeddings("v", "model-two")[1].shape == (1, 4)
    with pytest.raises(NotFound):
        library.embeddings("v", "model-three")


@pytest.mark.parametrize("vectors", [np.ones((2, 4)), np.ones(3), np.full((3, 4), np.nan), np.full((3, 4), np.inf)])
def test_vectors_that_do_not_fit_are_refused(library: Library, vectors: np.ndarray) -> None:
    with pytest.raises(StoreError):
        library.put_embeddings("v", "m", [1, 2, 3], vectors)


def test_notes(library: Library) -> None:
    box = (0.0, 0.25, 0.5, 1.0)
    said = Description(
        {"vi": "một người", "en": "a person"}, objects=(Region("person", 0.9, box),), labels=(("street", 0.5),)
    )
    notes = [FrameNotes(3, said, (TextLine("THỜI SỰ", 0.8, box),)), FrameNotes(9, Description())]
    library.put_notes("v", "describer", notes)
    assert library.notes("v", "describer") == notes


def test_damaged_files_are_named(library: Library) -> None:
    library.put_signals("v", {"a": np.zeros(3)})
    data = library.archive.get_bytes("videos/v/signals.npz")
    library.archive.put_bytes("videos/v/signals.npz", data[:-30])
    with pytest.raises(CorruptError, match=r"v/signals\.npz"):
        library.signals("v")


def test_deleting_a_video_leaves_its_neighbours(library: Library, tmp_path: Path) -> None:
    source = tmp_path / "c.mp4"
    source.write_bytes(b"x")
    for video_id in ("v", "v2"):
        library.put_video(make_video(video_id))
        library.put_media(video_id, source)
        library.put_image(video_id, 1, "thumb.webp", b"x")
        library.put_sheet(video_id, b"x")
    library.delete_video("v")
    left = list(library.archive.keys(""))
    assert len(left) == 4 and all("v2" in key for key in left)
