"""Which frames of the decode pass are kept as candidates."""

import cv2
import numpy as np
import pytest

from khung.settings import ExtractionSettings, MediaLimits
from khung.video.extract import extract

RATE = 10  # frames a second
SIZE = (320, 180)


def room(width: int, height: int) -> np.ndarray:
    coarse = np.random.default_rng(3).integers(60, 190, (9, 16, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST)


def still(index: int, width: int, height: int) -> np.ndarray:
    return room(width, height)


def visitor(index: int, width: int, height: int) -> np.ndarray:
    """From the third second on somebody stands in the distance, a thirtieth of the picture's height wide."""
    picture = room(width, height)
    if index >= 3 * RATE:
        picture[100:112, 200:206] = 255
    return picture


def focus(index: int, width: int, height: int) -> np.ndarray:
    """The camera finds its focus in the third second."""
    picture = room(width, height)
    return picture if index >= 3 * RATE else cv2.GaussianBlur(picture, (3, 3), 0)


def pan(index: int, width: int, height: int) -> np.ndarray:
    return np.roll(room(width, height), 3 * index, axis=1)


@pytest.mark.parametrize(
    ("picture", "seconds"),
    [
        (still, [0, 2, 4]),
        (visitor, [0, 2, 3, 5]),
        (focus, [0, 2, 3, 5]),
        (pan, [n / 2 for n in range(12)]),
    ],
)
def test_of_a_still_picture_one_frame_in_two_seconds_is_kept_until_something_changes(
    make_video, tmp_path, picture, seconds
):
    clip = make_video("room.mp4", 6 * RATE, size=SIZE, rate=RATE, picture=picture, codec_options={"qp": "0"})
    found = extract(clip, tmp_path / "out", MediaLimits(), ExtractionSettings()).candidates
    assert [each.pts_ms // 500 / 2 for each in found] == seconds
