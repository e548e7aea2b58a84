"""Which video is a copy of which, and which of their frames are the same."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sample_frames import make_records, make_video

from khung.stores.archive_local import LocalArchive
from khung.stores.library import Library
from khung.video.copies import Copies, Origin, same_frames
from khung.video.identity import to_hex

RANDOM = np.random.default_rng(5)
FILMS = {name: RANDOM.integers(0, 2**64, 60, dtype=np.uint64) for name in ("a", "b", "c")}


def video(name: str, hashes: np.ndarray, **more: object):
    return replace(make_video(name), sequence_hash=to_hex(hashes), **more)


@pytest.fixture
def copies(tmp_path: Path) -> Copies:
    library = Library(LocalArchive(tmp_path))
    for name, hashes in FILMS.items():
        library.put_video(video(name, hashes))
    library.put_video(make_video("never_decoded"))
    return Copies(library)


def reencoded(hashes: np.ndarray) -> np.ndarray:
    """A few bits differ."""
    return hashes ^ np.uint64(0b1011)


def test_a_copy_and_an_excerpt_have_their_origin(copies):
    assert copies.origin(video("copy", reencoded(FILMS["b"]))) == Origin("b", 0)
    assert copies.origin(video("excerpt", reencoded(FILMS["c"][20:50]))) == Origin("c", -20_000)


def test_strangers_and_the_video_itself_have_none(copies):
    stranger = RANDOM.integers(0, 2**64, 60, dtype=np.uint64)
    assert copies.origin(video("stranger", stranger)) is None
    assert copies.origin(video("a", FILMS["a"])) is None
    assert copies.origin(make_video("no_sequence")) is None


def test_what_is_added_is_found_and_a_copy_is_no_origin(copies):
    film = RANDOM.integers(0, 2**64, 30, dtype=np.uint64)
    copies.add(video("new", film))
    assert copies.origin(video("copy", reencoded(film))) == Origin("new", 0)
    copies.add(video("new", film, derived_from="a"))
    assert copies.origin(video("copy", reencoded(film))) is None


def test_an_empty_library_has_no_origins(tmp_path):
    assert Copies(Library(LocalArchive(tmp_path))).origin(video("a", FILMS["a"])) is None


def test_frames_are_the_same_by_time_and_look():
    looks = RANDOM.integers(0, 2**64, 10, dtype=np.uint64).tolist()
    theirs = [replace(record.keyframe, phash=look) for record, look in zip(make_records("a"), looks, strict=True)]
    shifted = [
        replace(f, frame_index=f.frame_index + 7, pts_ms=f.pts_ms - 3000 + 200, phash=f.phash ^ 0b111) for f in theirs
    ]
    assert same_frames(shifted, theirs, -3000) == {f.frame_index + 7: f.frame_index for f in theirs}
    assert same_frames(shifted, theirs, 0) == {}  # the time is another
    assert same_frames([replace(f, phash=f.phash ^ 0xFFFF) for f in theirs], theirs, 0) == {}  # the look is another
