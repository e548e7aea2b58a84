"""Frames are scaled down by the mean of what lies under each new pixel."""

import cv2
import numpy as np
import pytest

from khung.vision.pixels import shrunk

SIZES = [(1080, 1920), (720, 1280), (719, 1279), (180, 320), (128, 128), (361, 641), (37, 65), (36, 64), (36, 4000)]


@pytest.mark.parametrize("size", SIZES)
def test_it_is_the_mean_of_what_lies_under_it(size):
    frame = np.random.default_rng(7).integers(0, 256, (*size, 3), np.uint8)
    found = shrunk(frame, 64, 36)
    assert found.shape == (36, 64, 3) and found.dtype == np.uint8
    edges = [np.arange(new + 1) * old / new for old, new in zip(size, (36, 64), strict=True)]
    down, across = (
        np.clip(np.minimum(e[1:, None], np.arange(old) + 1) - np.maximum(e[:-1, None], np.arange(old)), 0, None)
        for e, old in zip(edges, size, strict=True)
    )
    sums = np.einsum("ya,abc,xb->yxc", down, frame.astype(float), across, optimize=True)
    means = sums / (size[0] / 36 * size[1] / 64)
    assert np.abs(found - means).max() <= 0.51


@pytest.mark.parametrize("size", [(20, 4000), (30, 40), (720, 40), (1, 1)])
def test_a_side_that_does_not_become_smaller_is_as_in_opencv(size):
    frame = np.random.default_rng(7).integers(0, 256, (*size, 3), np.uint8)
    np.testing.assert_array_equal(shrunk(frame, 64, 36), cv2.resize(frame, (64, 36), interpolation=cv2.INTER_AREA))


def test_a_part_of_a_frame_is_as_its_copy():
    frame = np.random.default_rng(7).integers(0, 256, (200, 300, 3), np.uint8)
    part = frame[10:150, 20:221]
    np.testing.assert_array_equal(shrunk(part, 64, 36), shrunk(part.copy(), 64, 36))


def test_all_extremes_stay_what_they_are():
    for value in (0, 255):
        assert (shrunk(np.full((333, 777, 3), value, np.uint8), 64, 36) == value).all()
