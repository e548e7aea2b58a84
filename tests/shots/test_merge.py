"""Boundaries of several detectors become shots that tile the video."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from khung.records import Shot
from khung.settings import ExtractionSettings
from khung.shots.boundaries import Boundary, runs, transnet_boundaries
from khung.shots.detect import shots_of
from khung.shots.merge import drop_short, merge, near_within, tile
from khung.shots.transnet import Prediction

PTS = np.arange(0, 20_000, 40)
NEAR = near_within(PTS, 0.5)


def prediction(frames: int = 500, *, peaks: dict[int, float], parts: tuple[int, int] | None = None) -> Prediction:
    one_hot, many_hot = np.zeros(frames, np.float32), np.zeros(frames, np.float32)
    for frame, value in peaks.items():
        one_hot[frame] = many_hot[frame] = value
    if parts:
        many_hot[slice(*parts)] = 0.9
    return Prediction(one_hot, many_hot)


def cut(frame: int, confidence: float = 0.9) -> Boundary:
    return Boundary(frame, confidence, ("transnet",))


def test_runs_are_half_open():
    assert runs(np.array([1, 1, 0, 0, 1, 0, 1, 1, 1], bool)) == [(0, 2), (4, 5), (6, 9)]
    assert runs(np.zeros(0, bool)) == []


def test_a_hard_cut_starts_the_shot_after_the_peak():
    assert transnet_boundaries(prediction(peaks={99: 0.8}), 0.5) == [Boundary(100, pytest.approx(0.8), ("transnet",))]


def test_a_dissolve_is_a_range_with_its_boundary_in_the_middle():
    (found,) = transnet_boundaries(prediction(peaks={110: 0.7}, parts=(100, 121)), 0.5)
    assert (found.frame, found.transition) == (111, (100, 121))


def test_below_the_threshold_nothing_is_seen():
    assert transnet_boundaries(prediction(peaks={99: 0.4}), 0.5) == []


def test_a_peak_on_the_last_frame_opens_no_shot():
    assert transnet_boundaries(prediction(peaks={499: 0.9}), 0.5) == []


def test_detectors_near_one_boundary_are_remembered_together():
    (found,) = merge([cut(100)], [101], [108], np.zeros(500), NEAR)
    assert found.detectors == ("adaptive", "content", "transnet")
    assert found.frame == 100


def test_content_and_adaptive_together_stand_where_transnet_half_suspects():
    suspicious = prediction(peaks={199: 0.2}).one_hot
    assert [b.frame for b in merge([], [200], [200], suspicious, NEAR)] == [200]
    assert merge([], [200], [], suspicious, NEAR) == []
    assert merge([], [200], [200], np.zeros(500), NEAR) == []


def test_the_less_certain_end_of_a_short_shot_goes():
    assert drop_short([cut(100, 0.9), cut(105, 0.4)], PTS, 20_000, 0.3) == [cut(100, 0.9)]
    assert drop_short([cut(100, 0.4), cut(105, 0.9)], PTS, 20_000, 0.3) == [cut(105, 0.9)]
    assert drop_short([cut(3), cut(497)], PTS, 20_000, 0.3) == []
    assert drop_short([cut(100), cut(110)], PTS, 20_000, 0.3) == [cut(100), cut(110)]


def test_a_gradual_shot_tells_its_transition_in_time():
    shots = tile("v", [Boundary(111, 0.7, ("transnet",), (100, 121))], PTS, 20_000)
    assert (shots[1].opens_with, shots[1].transition_ms, shots[1].start_ms) == ("gradual", (4000, 4840), 4440)
    assert (shots[0].opens_with, shots[0].detectors, shots[0].end_ms) == ("start", (), 4440)


def assert_tiles(shots: list[Shot], frames: int, start_ms: int, end_ms: int) -> None:
    assert [shot.shot_index for shot in shots] == list(range(len(shots)))
    assert (shots[0].start_frame, shots[-1].end_frame) == (0, frames)
    assert (shots[0].start_ms, shots[-1].end_ms) == (start_ms, end_ms)
    for left, right in pairwise(shots):
        assert (left.end_frame, left.end_ms) == (right.start_frame, right.start_ms)
    assert all(shot.start_frame < shot.end_frame for shot in shots)


@given(st.integers(1, 400), st.integers(0, 2**32 - 1), st.floats(0.01, 0.99), st.floats(0, 3))
def test_shots_tile_whatever_the_signals(frames, seed, threshold, min_shot_s):
    rng = np.random.default_rng(seed)
    pts_ms = np.cumsum(rng.integers(0, 120, frames))
    pts_ms -= pts_ms[0]
    signals = {
        "pts_ms": pts_ms,
        "content": (rng.random(frames) ** 8 * 90).astype(np.float32),
        "transnet": (rng.random(frames) ** 6).astype(np.float32),
        "transnet_many": (rng.random(frames) ** 2).astype(np.float32),
    }
    end_ms = int(pts_ms[-1]) + 40
    shots = shots_of("v", signals, end_ms, ExtractionSettings(transnet_threshold=threshold, min_shot_s=min_shot_s))
    assert_tiles(shots, frames, 0, end_ms)
    if len(shots) > 1:
        assert min(shot.end_ms - shot.start_ms for shot in shots) >= min_shot_s * 1000
