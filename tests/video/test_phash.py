"""The perceptual hash is the field's own, and stays when a picture is scaled or re-encoded."""

import cv2
import numpy as np
import pytest

from khung.video.phash import distance, phash, phash_many


@pytest.fixture(scope="module")
def pictures(clips) -> list[np.ndarray]:
    """Grey frames, one a second, of the street clip."""
    import av

    with av.open(str(clips / "googlework_short.mp4")) as source:
        return [f.to_ndarray(format="gray") for i, f in enumerate(source.decode(video=0)) if i % 30 == 0]


def reference(grey: np.ndarray) -> int:
    """imagehash.phash's formula with OpenCV's DCT: 32×32, the 8×8 lowest, above the median."""
    low = cv2.dct(cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32))[:8, :8]
    bits = (low > np.median(low)).ravel()
    return int("".join("1" if bit else "0" for bit in bits), 2)


def test_bits_and_order_are_those_of_the_formula(pictures):
    # a coefficient that equals the median but for rounding may fall on either side
    assert max(distance(phash(p), reference(p)) for p in pictures) <= 2
    assert np.mean([phash(p) == reference(p) for p in pictures]) > 0.8


def test_many_at_once_are_the_same_as_one_by_one(pictures):
    assert [int(value) for value in phash_many(pictures)] == [phash(p) for p in pictures]


def test_small_and_reencoded_copies_stay_near(pictures):
    for picture in pictures:
        _, jpeg = cv2.imencode(".jpg", cv2.resize(picture, (160, 90), interpolation=cv2.INTER_AREA), [1, 40])
        assert distance(phash(cv2.imdecode(jpeg, 0)), phash(picture)) <= 8


def test_other_pictures_are_far(pictures):
    assert distance(phash(pictures[0]), phash(pictures[20])) > 16
