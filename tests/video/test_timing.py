"""Ticks to milliseconds, exactly; missing and backward times mended; rates recognised."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from khung.video.timing import Clock, duration_ms, frame_rate

NTSC = Fraction(30000, 1001)


def read_all(clock: Clock, times) -> list[int]:
    return [clock.read(time) for time in times]


def test_constant_rate_is_exact_and_starts_at_zero():
    clock = Clock(Fraction(1, 30000), NTSC)
    assert read_all(clock, [25020 + 1001 * i for i in range(4)]) == [0, 33, 67, 100]
    assert clock.repaired == 0


def test_negative_start_counts_from_the_first_frame():
    assert read_all(Clock(Fraction(1, 1000), Fraction(25)), [-80, -40, 0, 40]) == [0, 40, 80, 120]


def test_missing_times_follow_the_frame_before():
    clock = Clock(Fraction(1, 1000), Fraction(25))
    assert read_all(clock, [None, None, 80, None]) == [0, 40, 80, 120]
    assert clock.repaired == 3


def test_a_time_that_runs_backwards_is_replaced():
    clock = Clock(Fraction(1, 1000), Fraction(25))
    assert read_all(clock, [0, 40, 40, 20, 160]) == [0, 40, 80, 120, 160]
    assert clock.repaired == 2


def test_the_frames_own_duration_is_used_where_known():
    clock = Clock(Fraction(1, 1000), Fraction(25))
    clock.read(0, 500)
    assert clock.read(None) == 500


@given(
    st.lists(st.one_of(st.none(), st.integers(-(10**12), 10**12)), max_size=60),
    st.fractions(min_value=Fraction(1, 10**6), max_value=1),
    st.fractions(min_value=Fraction(1, 100), max_value=10**6),
)
def test_times_never_run_backwards(times, tick, rate):
    found = read_all(Clock(tick, rate), times)
    assert found == sorted(found)
    assert not found or found[0] == 0


def test_a_rate_that_agrees_with_the_promise_keeps_its_fraction():
    pts_ms = np.round(np.arange(300) * 1001 / 30).astype(np.int64)
    assert frame_rate(pts_ms, NTSC) == (NTSC, False)


def test_a_promise_that_lies_is_not_believed():
    pts_ms = np.arange(0, 4000, 40)
    assert frame_rate(pts_ms, Fraction(10**6)) == (Fraction(25), False)


def test_a_few_long_steps_make_the_rate_variable():
    pts_ms = np.cumsum([0] + [40] * 50 + [700] * 3)
    assert frame_rate(pts_ms, Fraction(25))[1]


@pytest.mark.parametrize(
    "promised", [Fraction(25), Fraction(15_000, 601)]
)  # what was meant, and the mean of the whole file
def test_one_pause_makes_the_rate_variable_and_lets_it_stand(promised):
    pts_ms = np.arange(15_000) * 40 + 30_000 * (np.arange(15_000) >= 1000)
    rate, variable = frame_rate(pts_ms, promised)
    assert variable
    assert rate == Fraction(25) or promised != Fraction(25)


def test_a_frame_an_hour_has_a_rate():
    assert frame_rate(np.arange(9) * 3_600_000, Fraction(25)) == (Fraction(1, 1001), True)


def test_one_dropped_frame_moves_those_after_it():
    pts_ms = np.delete(np.arange(10_000) * 40, [5000, 5001])
    assert frame_rate(pts_ms, Fraction(25)) == (Fraction(25), True)


def test_millisecond_containers_at_60_fps_are_constant():
    pts_ms = np.round(np.arange(600) * 1000 / 60).astype(np.int64)
    assert frame_rate(pts_ms, Fraction(60)) == (Fraction(60), False)


def test_the_last_frame_is_shown_as_long_as_others():
    assert duration_ms(np.array([0, 40, 80]), Fraction(25)) == 120
    assert duration_ms(np.array([0]), Fraction(25)) == 40
    assert duration_ms(np.array([], np.int64), Fraction(25)) == 0
