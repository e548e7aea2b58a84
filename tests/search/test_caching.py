"""Vectors worked out once; one worker for many equal questions."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from khung.search.caching import CachedEmbedder, SingleFlight


class Counting:
    fingerprint, dim = "m1", 3

    def __init__(self):
        self.asked = []

    def embed_texts(self, texts):
        self.asked += texts
        return np.array([[len(t), 0, 1] if t != "bad" else [np.nan] * 3 for t in texts], np.float32)

    def embed_images(self, images):
        return np.ones((len(images), 3), np.float32)


def test_texts_are_embedded_once_per_fingerprint():
    real = Counting()
    cached = CachedEmbedder(real)
    np.testing.assert_array_equal(cached.embed_texts(["a", "bb", "a"]), [[1, 0, 1], [2, 0, 1], [1, 0, 1]])
    cached.embed_texts(["bb", "ccc"])
    assert real.asked == ["a", "bb", "ccc"]
    real.fingerprint = "m2"
    cached.embed_texts(["a"])
    assert real.asked[-1] == "a"
    assert cached.embed_texts([]).shape == (0, 3)


def test_senseless_vectors_are_not_kept():
    real = Counting()
    cached = CachedEmbedder(real)
    cached.embed_texts(["bad"])
    cached.embed_texts(["bad"])
    assert real.asked == ["bad", "bad"]


def test_a_herd_of_equal_questions_is_answered_by_one():
    flight, runs, gate = SingleFlight(), [], threading.Event()

    def work():
        runs.append(1)
        gate.wait(5)
        return object()

    with ThreadPoolExecutor(50) as pool:
        futures = [pool.submit(flight.do, "k", work) for _ in range(50)]
        while not runs:
            time.sleep(0.001)
        time.sleep(0.05)
        gate.set()
        results = {id(f.result()) for f in futures}
    assert len(results) == len(runs) <= 2  # a thread that came after the landing flies again
    assert flight.do("k", lambda: 1) == 1


def test_an_error_reaches_all_and_is_not_kept():
    flight = SingleFlight()
    with pytest.raises(ValueError, match="once"):
        flight.do("k", lambda: (_ for _ in ()).throw(ValueError("once")))
    assert flight.do("k", lambda: 2) == 2
