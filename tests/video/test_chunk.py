"""Frames are looked at a few at a time; how many never changes a result, whatever changes from frame to frame."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from khung.settings import MediaLimits
from khung.video.chunk import MAX_BYTES, chunks
from khung.video.decode import decode, pictures
from khung.video.formats import sniff
from khung.video.source import open_source
from khung.video.taps.candidates import CandidateTap
from khung.video.taps.content import ContentTap
from khung.video.taps.motion import MotionTap
from khung.video.taps.quality import QualityTap
from khung.video.taps.sequence import SequenceTap
from khung.video.taps.small import SmallTap

LIMITS = MediaLimits().model_dump()


def shots(index: int, width: int, height: int) -> np.ndarray:
    """A new picture every eleven frames, that moves."""
    base = np.random.default_rng(index // 11).integers(0, 255, (6, 8, 3), np.uint8)
    return np.roll(cv2.resize(base, (width, height), interpolation=cv2.INTER_CUBIC), index, axis=1)


@pytest.fixture
def changing(make_video, tmp_path) -> Path:
    """Size and pixel format change within the stream."""
    parts = [
        make_video("one.ts", 50, size=(160, 120), picture=shots),
        make_video("two.ts", 41, size=(320, 176), picture=shots),
        make_video("three.ts", 30, size=(320, 176), picture=shots, pixel_format="yuv422p10le"),
    ]
    (tmp_path / "whole.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    return tmp_path / "whole.ts"


def everything(path: Path, folder: Path, chunk_frames: int) -> dict[str, bytes]:
    """All that a pass leaves, as bytes."""
    folder.mkdir()
    sequence, candidates = SequenceTap(), CandidateTap(folder, 2.0)
    taps = [SmallTap(folder / "small.rgb"), ContentTap(), MotionTap(), QualityTap(), sequence, candidates]
    with open_source(path, sniff(path), LIMITS) as source:
        signals = decode(source, taps, lambda *_: None, chunk_frames)
    left = {name: column.tobytes() for name, column in signals.arrays().items()}
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    return left | files | {"hashes": repr(sequence.hashes).encode(), "candidates": repr(candidates.kept).encode()}


@pytest.mark.parametrize("kind", ["changing", "nasa", "turned"])
def test_the_length_of_a_chunk_changes_nothing(clips, make_video, changing, tmp_path, kind):
    turned = make_video("turned.mp4", 45, size=(128, 96), rotation=90, picture=shots)
    path = {"changing": changing, "nasa": clips / "nasa_13013.mp4", "turned": turned}[kind]
    one, few, usual, all_at_once = (everything(path, tmp_path / str(n), n) for n in (1, 7, 16, 400))
    assert len(one["pts_ms"]) // 8 == {"changing": 121, "nasa": 325, "turned": 45}[kind]
    assert one == few == usual == all_at_once


def test_a_chunk_has_frames_of_one_form_and_no_more_bytes_than_allowed(changing, make_video):
    with open_source(changing, sniff(changing), LIMITS) as source:
        found = [[picture.form for picture in chunk.pictures] for chunk in chunks(pictures(source), 16)]
    assert [len(forms) for forms in found] == [16, 16, 16, 2, 16, 16, 9, 16, 14]
    assert all(len(set(forms)) == 1 for forms in found)
    large = make_video("large.mkv", 9, size=(3840, 2160), codec="mpeg4")
    with open_source(large, sniff(large), LIMITS) as source:
        lengths = [len(chunk) for chunk in chunks(pictures(source))]
    assert lengths == [4, 4, 1]
    assert MAX_BYTES >= 4 * 3 * 3840 * 2160
