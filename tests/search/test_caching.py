"""Keys that name everything an answer depends on; vectors worked out once; one worker for many equal questions."""

import threading
import time
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from khung.search.caching import CachedEmbedder, SingleFlight, answer_key
from khung.search.engine import SearchRequest
from khung.stores import FrameFilter

RED = SearchRequest("áo đỏ")


def key(request=RED, snapshot="s1", model="m1", ranking=""):
    return answer_key(request, snapshot_id=snapshot, fingerprint=model, ranking=ranking)


def test_another_snapshot_model_or_ranking_is_another_key():
    assert len({key(), key(snapshot="s2"), key(model="m2"), key(ranking="abc+")}) == 4


OTHERS = {
    "text": "áo xanh",
    "image": np.zeros((2, 2, 3), np.uint8),
    "like": "a/1",
    "where": FrameFilter(objects=("car",)),
    "limit": 10,
    "offset": 5,
    "per_video": 3,
    "then": ("b",),
    "more": ("a/1",),
    "less": ("a/1",),
    "preset": "proposal",
    "facets": False,
}


@pytest.mark.parametrize("name", [f.name for f in fields(SearchRequest)])
def test_every_field_of_a_question_is_in_the_key(name):
    assert key(replace(SearchRequest("áo đỏ"), **{name: OTHERS[name]})) != key()


def test_pictures_by_their_pixels():
    a, b = np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2, 3), np.uint8)
    assert key(SearchRequest(image=a)) == key(SearchRequest(image=b))
    b[0, 0, 0] = 1
    assert key(SearchRequest(image=a)) != key(SearchRequest(image=b))
    assert key(SearchRequest(image=a)) != key(SearchRequest(image=a.reshape(1, 4, 3)))


def test_unicode_form_and_spaces_share_a_key():
    for text in (unicodedata.normalize("NFD", "áo đỏ"), "  áo  đỏ ", "áo\u200b đỏ"):
        assert key(SearchRequest(text)) == key()


@given(st.text(max_size=30), st.text(max_size=30))
def test_values_never_run_into_one_another(a, b):
    one, two = SearchRequest(a, then=(b,)), SearchRequest(a, then=(b, ""))
    assert key(one) != key(two)


def test_facet_order_does_not_matter():
    a = FrameFilter(facets={"place": ("indoor",), "colors": ("red",)})
    b = FrameFilter(facets={"colors": ("red",), "place": ("indoor",)})
    assert key(SearchRequest("x", where=a)) == key(SearchRequest("x", where=b))


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
