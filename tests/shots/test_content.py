"""The stored score gives what PySceneDetect's own detectors give when they see the pictures themselves."""

import cv2
import numpy as np
import pytest
from scenedetect import AdaptiveDetector, ContentDetector, FrameTimecode, StatsManager

from khung.shots.content import MIN_FRAMES, adaptive_cuts, content_cuts
from khung.video.chunk import Chunk
from khung.video.taps.content import ContentTap
from khung.video.views import Picture


@pytest.fixture(scope="module")
def chunk(clips) -> Chunk:
    """The street clip's first ten seconds, their frames as taps see them."""
    import av

    with av.open(str(clips / "googlework_short.mp4")) as source:
        frames = zip(range(300), source.decode(video=0), strict=False)
        return Chunk((Picture(index, index * 33, frame) for index, frame in frames), 300)


@pytest.fixture(scope="module")
def pictures(chunk) -> np.ndarray:
    assert chunk.medium.shape == (300, 54, 96, 3)
    return chunk.medium


@pytest.fixture(scope="module")
def scores(chunk) -> np.ndarray:
    ContentTap().see(chunk)
    return chunk.scores["content"].astype(np.float32)


def directly(detector, pictures) -> list[int]:
    found = []
    for index, picture in enumerate(pictures):
        found += detector.process_frame(FrameTimecode(index, 30.0), picture)
    return [cut.frame_num for cut in found]


def test_the_score_is_pyscenedetects_public_content_val(pictures, scores):
    detector, stats = ContentDetector(), StatsManager()
    detector.stats_manager = stats
    directly(detector, pictures[:60])
    public = [stats.get_metrics(FrameTimecode(i, 30.0), ["content_val"])[0] for i in range(1, 60)]
    assert np.allclose(scores[1:60], public, atol=1e-4)


@pytest.mark.parametrize("threshold", [15.0, 27.0, 40.0])
def test_content_cuts_are_those_of_the_detector_itself(pictures, scores, threshold):
    expected = directly(ContentDetector(threshold, min_scene_len=MIN_FRAMES), pictures)
    assert content_cuts(scores, threshold) == expected
    assert expected


@pytest.mark.parametrize("threshold", [2.0, 3.0, 5.0])
def test_adaptive_cuts_are_those_of_the_detector_itself(pictures, scores, threshold):
    expected = directly(AdaptiveDetector(threshold, min_scene_len=MIN_FRAMES), pictures)
    assert adaptive_cuts(scores, threshold) == expected
    assert expected


def test_a_picture_thinned_from_planes_looks_like_one_scaled_by_area(chunk):
    full = chunk.pictures[150].frame.to_ndarray(format="bgr24")
    scaled = cv2.resize(full, (192, 108), interpolation=cv2.INTER_AREA)
    small = cv2.cvtColor(cv2.resize(scaled, (48, 27), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)
    assert np.abs(small.astype(int) - chunk.small[150]).mean() < 6
