"""The same bytes, and the same pictures in other bytes."""

import hashlib

import numpy as np
import pytest

from khung.video.identity import file_sha256, from_hex, match_sequences, to_hex


@pytest.fixture
def hashes() -> np.ndarray:
    return np.random.default_rng(7).integers(0, 2**64, 60, dtype=np.uint64)


def reencoded(hashes: np.ndarray, bits: int = 4) -> np.ndarray:
    """Each hash with so many bits flipped."""
    rng = np.random.default_rng(1)
    flips = [sum(1 << int(b) for b in rng.choice(64, bits, replace=False)) for _ in hashes]
    return hashes ^ np.array(flips, np.uint64)


def test_sha256_is_that_of_the_bytes(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"khung" * 1000)
    assert file_sha256(path) == hashlib.sha256(b"khung" * 1000).hexdigest()


def test_hex_and_back(hashes):
    assert (from_hex(to_hex(hashes)) == hashes).all()


def test_a_reencoded_copy_matches_without_shift(hashes):
    match = match_sequences(to_hex(reencoded(hashes)), to_hex(hashes))
    assert (match.offset_s, match.coverage) == (0, 1.0)


def test_an_excerpt_matches_with_its_offset(hashes):
    match = match_sequences(to_hex(reencoded(hashes[20:45])), to_hex(hashes))
    assert (match.offset_s, match.coverage) == (-20, 1.0)


def test_nine_tenths_suffice_and_less_does_not(hashes):
    other = np.random.default_rng(3).integers(0, 2**64, 60, dtype=np.uint64)
    mostly, partly = hashes.copy(), hashes.copy()
    mostly[:5], partly[:10] = other[:5], other[:10]
    assert match_sequences(to_hex(mostly), to_hex(hashes)).coverage == pytest.approx(55 / 60)
    assert match_sequences(to_hex(partly), to_hex(hashes)) is None


def test_a_longer_video_is_not_derived_from_its_excerpt(hashes):
    assert match_sequences(to_hex(hashes), to_hex(hashes[20:45])) is None


def test_a_still_picture_proves_nothing(hashes):
    still = np.repeat(hashes[:1], 60)
    assert match_sequences(to_hex(still), to_hex(still)) is None


def test_strangers_and_short_videos_do_not_match(hashes):
    other = np.random.default_rng(9).integers(0, 2**64, 60, dtype=np.uint64)
    assert match_sequences(to_hex(other), to_hex(hashes)) is None
    assert match_sequences(to_hex(hashes[:5]), to_hex(hashes)) is None
    assert match_sequences("", to_hex(hashes)) is None
