"""The vectors of the labels, kept beside the model files: made anew when what is kept is broken, and good for whoever uses the folder."""

import numpy as np
import pytest

from khung.vision.conse import _label_vectors


class Counting:
    """An E5 that says how often it was asked."""

    code_version = 1

    def __init__(self):
        self.asked = 0

    def queries(self, texts):
        self.asked += 1
        return np.ones((len(texts), 4), np.float32)


@pytest.mark.parametrize("broken", [None, b"", b"\x93NUMPY\1", b"no array"])
def test_what_is_broken_is_made_anew(tmp_path, broken):
    first = _label_vectors(Counting(), "weights", tmp_path)
    (kept,) = tmp_path.iterdir()
    assert kept.stat().st_mode & 0o777 == 0o644
    if broken is not None:
        kept.write_bytes(broken)
    e5 = Counting()
    np.testing.assert_array_equal(_label_vectors(e5, "weights", tmp_path), first)
    assert bool(e5.asked) == (broken is not None)
    again = Counting()
    _label_vectors(again, "weights", tmp_path)
    assert not again.asked
