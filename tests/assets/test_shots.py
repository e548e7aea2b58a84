"""The shots of one video: decoded once; other thresholds are tried on what that pass left."""

from dataclasses import replace

import pytest

from assets.shots import find_shots
from assets.videos import take_in
from khung.settings import ExtractionSettings, Settings
from khung.shots.transnet import TransNet
from khung.stores.archive_local import LocalArchive
from khung.stores.library import Library
from khung.stores.sources import SourceFile, put_source
from khung.video.copies import Copies
from khung.video.identity import file_sha256

pytestmark = pytest.mark.models


@pytest.fixture
def library(clips, tmp_path) -> Library:
    library = Library(LocalArchive(tmp_path))
    path = clips / "nasa_13013.mp4"
    put_source(library.archive, "v", SourceFile(str(path), path.name, file_sha256(path)))
    take_in("v", library, with_settings())
    return library


def with_settings(**extraction: object) -> Settings:
    return Settings(extraction=ExtractionSettings(**extraction), _env_file=None)


def test_other_thresholds_cut_anew_without_decoding(library, models_dir, tmp_path):
    (nothing := tmp_path / "nothing").mkdir()

    def cut(**extraction: object) -> tuple[bool, int]:
        told = find_shots("v", library, transnet, Copies(library), with_settings(**extraction)).metadata
        assert [shot.shot_index for shot in library.shots("v")] == list(range(told["shots"]))
        return told["decoded"], told["shots"]

    transnet = TransNet(models_dir / "transnetv2.onnx", threads=2)
    assert cut() == (True, 3)
    video, first = library.video("v"), library.shots("v")
    assert cut(transnet_threshold=0.99, content_threshold=99.0) == (False, 1)
    assert cut() == (False, 3)
    assert (library.video("v"), library.shots("v")) == (video, first)
    assert cut(max_fps=1.0) == (True, 3)  # other candidates

    library.archive.put_bytes("videos/v/signals.npz", b"half writt")
    assert cut(max_fps=1.0) == (True, 3)
    library.archive.delete("videos/v/candidates.zip")
    assert cut(max_fps=1.0) == (True, 3)
    library.put_candidates("v", nothing)
    assert cut(max_fps=1.0) == (True, 3)
    library.put_video(replace(video, frame_count=300, sequence_hash=""))
    assert cut(max_fps=1.0) == (True, 3)
    assert library.video("v") == video
    assert cut(max_fps=1.0) == (False, 3)
