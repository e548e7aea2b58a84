"""Frames are scaled down by the mean of what lies under each new pixel, halved first or not."""

import cv2
import numpy as np
import pytest

from khung.vision.pixels import shrunk


@pytest.mark.parametrize("size", [(1080, 1920), (720, 1280), (128, 128), (361, 641), (40, 30), (64, 4000)])
def test_it_is_the_mean_of_what_lies_under_it(size):
    rng = np.random.default_rng(7)
    coarse = rng.integers(0, 256, (9, 16, 3), np.uint8)
    frame = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
    found = shrunk(frame, 64, 36)
    assert found.shape == (36, 64, 3) and found.dtype == np.uint8
    plain = cv2.resize(frame, (64, 36), interpolation=cv2.INTER_AREA).astype(int)
    assert np.abs(plain - found).mean() < 1
    assert np.abs(plain - found).max() < 12


def test_a_frame_that_halves_exactly_has_the_means_of_its_squares():
    frame = np.arange(0, 256, 2, np.uint8)[None, :, None].repeat(128, 0).repeat(3, 2)
    assert shrunk(frame, 16, 16)[0, :, 0].tolist() == [7 + 16 * i for i in range(16)]


def test_the_frame_itself_is_left_as_it_is():
    frame = np.full((256, 256, 3), 9, np.uint8)
    before = frame.copy()
    shrunk(frame, 16, 16)
    np.testing.assert_array_equal(frame, before)
