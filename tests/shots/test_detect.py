"""The real network on the real clips: the cuts that were looked at frame by frame."""

from functools import cache

import pytest

from khung.settings import ExtractionSettings, MediaLimits
from khung.shots.detect import detect, shots_of
from khung.video.candidates import write_candidates
from khung.video.extract import extract

pytestmark = pytest.mark.models
SETTINGS = ExtractionSettings()


@pytest.fixture(scope="module")
def detected(extraction_of, transnet):
    """By clip name: shots and signals, made once."""
    return cache(lambda name: detect("v", extraction_of(name), transnet, SETTINGS))


@pytest.mark.parametrize("name", ["googlework_short.mp4", "nasa_13013.mp4", "cockatoo_cc0.mp4"])
def test_the_known_cuts_are_found_and_no_other(detected, known_cuts, name):
    (shots, signals), truth = detected(name), known_cuts[name]
    hard = [shot.start_frame - 1 for shot in shots if shot.opens_with == "cut"]
    assert len(hard) == len(truth["hard"])
    assert all(abs(found - known) <= 1 for found, known in zip(hard, truth["hard"], strict=True))
    gradual = [shot.start_frame for shot in shots if shot.opens_with == "gradual"]
    assert len(gradual) == len(truth["gradual"])
    assert all(first <= found <= last for found, (first, last) in zip(gradual, truth["gradual"], strict=True))
    assert {len(signal) for signal in signals.values()} == {shots[-1].end_frame}


def test_every_shot_has_a_candidate_even_where_the_pass_left_none(clips, transnet, tmp_path):
    extraction = extract(clips / "nasa_13013.mp4", tmp_path, MediaLimits(), SETTINGS, duration_s=13)
    last = [candidate for candidate in extraction.candidates if candidate.frame_index > 201]
    write_candidates(extraction.candidates_dir, [each for each in extraction.candidates if each not in last])
    shots, _ = detect("v", extraction, transnet, SETTINGS)
    added = extraction.candidates[-1]
    assert added.frame_index > 201
    assert shots[-1].start_ms <= added.pts_ms < shots[-1].end_ms
    assert added in last or (extraction.candidates_dir / added.file).stat().st_size > 1000


def test_thresholds_are_tried_on_stored_signals(detected, extraction_of):
    shots, signals = detected("googlework_short.mp4")
    duration_ms = extraction_of("googlework_short.mp4").duration_ms
    assert shots_of("v", signals, duration_ms, SETTINGS) == shots
    fewer = shots_of("v", signals, duration_ms, ExtractionSettings(transnet_threshold=0.9))
    assert len(fewer) < len(shots)
