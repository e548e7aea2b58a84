"""Many threads may open NumPy's files at once."""

import gc
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from khung.stores.arrays import load, load_all


def test_arrays_come_back_as_they_were_saved_whoever_else_reads(tmp_path):
    """With a collector that runs all the time, so that threads change in the middle of a header."""
    rows = np.arange(10)
    np.save(tmp_path / "rows.npy", rows)
    np.savez(tmp_path / "both.npz", rows=rows, half=rows / 2)

    def read(_: int) -> None:
        for _ in range(200):
            assert (load(tmp_path / "rows.npy", mapped=True) == rows).all()
            assert (load_all(tmp_path / "both.npz")["half"] == rows / 2).all()

    def hand_over(*_) -> None:
        time.sleep(0)

    before = gc.get_threshold()
    gc.callbacks.append(hand_over)
    gc.set_threshold(5)
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(read, range(4)))
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(hand_over)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"no array"])
def test_what_is_no_array_is_refused(tmp_path, content):
    (tmp_path / "rows.npy").write_bytes(content)
    with pytest.raises((ValueError, EOFError)):
        load(tmp_path / "rows.npy")
