"""Which frames stand for a shot: enough of them, the clear ones, no two alike, none from inside a transition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from khung.keyframes.duplicates import collapse
from khung.keyframes.motion import complexity, motion_at
from khung.keyframes.pick import pick
from khung.keyframes.sampling import nearest_clear, rate_for, wanted_moments
from khung.records import Shot
from khung.settings import ExtractionSettings
from khung.video.candidates import Candidate
from khung.video.phash import distance

SETTINGS = ExtractionSettings()


def candidate(pts_ms: int, phash: int = 0, sharpness: float = 0.5) -> Candidate:
    return Candidate(pts_ms // 40, pts_ms, sharpness, phash, f"{pts_ms // 40:08d}.jpg")


def shot(index: int, start_ms: int, end_ms: int, transition=None) -> Shot:
    return Shot("v", index, start_ms // 40, end_ms // 40, start_ms, end_ms, transition_ms=transition)


def signals(frames: int = 500, *, flow: float = 0.0, entropy: float = 0.8, sharpness: float = 0.5) -> dict:
    filled = {"flow": flow, "entropy": entropy, "sharpness": sharpness}
    return {"pts_ms": np.arange(frames) * 40, **{name: np.full(frames, v, np.float32) for name, v in filled.items()}}


def varied(times) -> list[Candidate]:
    """Candidates that all look different."""
    hashes = np.random.default_rng(5).integers(0, 2**63, len(times))
    return [candidate(ms, int(h)) for ms, h in zip(times, hashes, strict=True)]


def test_rate_goes_from_slow_to_fast_with_complexity():
    assert rate_for(0, 0.5, 2) == 0.5
    assert rate_for(0.5, 0.5, 2) == pytest.approx(1)
    assert rate_for(1, 0.5, 2) == 2


def test_moments_are_the_middles_of_equal_parts():
    assert wanted_moments(1000, 5000, 0.5) == [2000, 4000]
    assert wanted_moments(0, 300, 0.5) == [150]


def test_a_clear_frame_near_the_moment_is_preferred():
    near, clear, far = candidate(1000), candidate(1400), candidate(2400)
    assert nearest_clear([near, clear, far], [0.5, 0.9, 1.0], [1000], 1000) == [1]


def test_equal_frames_give_the_nearest():
    assert nearest_clear([candidate(600), candidate(1000), candidate(1400)], [1, 1, 1], [1000], 1000) == [1]


def test_one_candidate_is_found_even_out_of_reach():
    assert nearest_clear([candidate(9000)], [0.1], [1000], 500) == [0]


def test_the_best_of_lookalikes_stays_and_remembers():
    assert collapse([0b0, 0b1, 0b11, 2**40 - 1], [0.1, 0.9, 0.5, 0.2], 8) == {1: [0, 2], 3: []}


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.floats(0, 2)), max_size=30), st.integers(0, 64))
def test_kept_frames_differ_and_dropped_ones_resemble(frames, most):
    hashes, worth = [h for h, _ in frames], [w for _, w in frames]
    kept = collapse(hashes, worth, most)
    assert sorted([*kept, *(each for dropped in kept.values() for each in dropped)]) == list(range(len(frames)))
    for left in kept:
        assert all(distance(hashes[left], hashes[right]) > most for right in kept if right != left)
        assert all(distance(hashes[left], hashes[dropped]) <= most for dropped in kept[left])
        assert all(worth[left] >= worth[dropped] for dropped in kept[left])


def test_a_still_shot_is_sampled_slowly_and_a_busy_one_fast():
    times = range(0, 20_000, 500)
    still = pick("v", [shot(0, 0, 20_000)], signals(), [candidate(ms) for ms in times], SETTINGS)
    busy = pick("v", [shot(0, 0, 20_000)], signals(flow=2.0), varied(times), SETTINGS)
    assert len(still) == 1
    assert len(still[0].represents) == 9  # ten moments at 0.5 fps, all alike
    assert len(busy) == 40
    assert still[0].motion < 0.01 < 0.9 < busy[0].motion


def test_every_shot_has_a_keyframe_of_its_own():
    shots = [shot(0, 0, 400), shot(1, 400, 1200), shot(2, 1200, 9000)]
    found = pick("v", shots, signals(), [candidate(ms) for ms in (200, 600, 1100, 3000, 5000)], SETTINGS)
    assert [each.shot_index for each in found] == [0, 1, 2]


def test_lookalikes_of_another_shot_stay():
    found = pick("v", [shot(0, 0, 2000), shot(1, 2000, 4000)], signals(), [candidate(1000), candidate(3000)], SETTINGS)
    assert len(found) == 2
    assert found[1].scene_change == 0


def test_no_keyframe_stands_inside_a_transition():
    shots = [shot(0, 0, 4000), shot(1, 4000, 8000, transition=(3000, 5000))]
    found = pick("v", shots, signals(flow=2.0), varied(range(0, 8000, 500)), SETTINGS)
    assert {each.shot_index for each in found} == {0, 1}
    assert not [each for each in found if 3000 <= each.pts_ms < 5000]


def test_a_black_frame_is_taken_only_where_there_is_nothing_else():
    looks = signals()
    looks["entropy"][:50] = 0.0
    looks["sharpness"][:50] = 5.0
    shots = [shot(0, 0, 3000), shot(1, 3000, 4000)]
    found = pick("v", shots, looks, [candidate(800), candidate(2600), candidate(3500)], SETTINGS)
    assert [each.pts_ms for each in found] == [2600, 3500]
    looks["entropy"][:] = 0.0
    assert len(pick("v", shots, looks, [candidate(800), candidate(3500)], SETTINGS)) == 2


def test_four_hours_in_one_shot_are_picked():
    """A camera that never cuts: 28,800 candidates in one shot. Quadratic work would take hours, which no test may."""
    times, frames = range(0, 4 * 3_600_000, 500), 4 * 3600 * 25
    for candidates, flow in ((varied(times), 2.0), ([candidate(ms) for ms in times], 0.0)):
        found = pick("v", [shot(0, 0, 4 * 3_600_000)], signals(frames, flow=flow), candidates, SETTINGS)
        assert len(found) > 28_000 if flow else len(found) == 1


def test_motion_and_complexity_are_within_bounds():
    assert motion_at(signals(flow=0.2), 0, 4000) == pytest.approx(1 - np.exp(-1))
    assert motion_at(signals(), 90_000, 91_000) == 0
    assert complexity(signals(), [], 0, 4000, 2.0) == 0
    assert complexity(signals(flow=50.0), [candidate(0), candidate(500, 2**64 - 1)], 0, 4000, 2.0) == pytest.approx(1)


def test_a_still_picture_is_as_simple_with_few_candidates_as_with_many():
    every_window = [candidate(ms, 0 if ms < 3000 else 2**12 - 1) for ms in range(0, 4000, 500)]
    without_still_ones = [each for each in every_window if each.pts_ms in (0, 2000, 3000, 3500)]
    few, many = (complexity(signals(), some, 0, 4000, 2.0) for some in (without_still_ones, every_window))
    assert few == many == pytest.approx(12 / 7 / 24 / 2)


@given(st.integers(0, 2**32 - 1), st.floats(0, 10), st.integers(1, 6))
def test_scores_stay_between_zero_and_one(seed, flow, shots):
    rng = np.random.default_rng(seed)
    looks = signals(flow=flow)
    looks["sharpness"], looks["entropy"] = (rng.random((2, 500)) ** 3).astype(np.float32)
    bounds = np.linspace(0, 20_000, shots + 1).astype(int).tolist()
    cut = [shot(i, *bounds[i : i + 2]) for i in range(shots)]
    found = pick("v", cut, looks, varied(range(0, 20_000, 500)), SETTINGS)
    assert {each.shot_index for each in found} == set(range(shots))
    assert [each.pts_ms for each in found] == sorted(each.pts_ms for each in found)
    for each in found:
        assert all(0 <= score <= 1 for score in (each.importance, each.motion, each.scene_change, each.sharpness))
