"""Channels that fail, stall or do not fit: named in `degraded`, or an outage by name; never an empty answer that looks whole."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from khung.errors import ModelError, SearchUnavailable, StoreError, VectorSpaceMismatch
from khung.search.engine import Engine, SearchRequest
from khung.stores import FrameFilter


class Broken:
    """A store or encoder that fails in the named calls, once `let` is set, and is itself in all others."""

    def __init__(self, real, calls, error=None, let=None):
        self._real, self._calls, self._error, self._let = real, calls, error, let

    def __getattr__(self, name):
        return self._fail if name in self._calls else getattr(self._real, name)

    def __len__(self):
        return len(self._real)

    def _fail(self, *args, **kwargs):
        if self._let:
            assert self._let.wait(60), "nobody waits for it any more"
        raise self._error or StoreError("broken on purpose")


ASK = SearchRequest("con chó ban đêm")


def test_a_broken_vector_store_leaves_the_other_channels(street, embedder):
    engine = Engine(
        replace(street, vectors=Broken(street.vectors, {"search"}, RuntimeError("faiss: bad file"))), embedder
    )
    result = engine.search(ASK)
    assert [(d.channel, d.reason) for d in result.degraded] == [("vector", "RuntimeError")]
    assert result.hits[0].record.frame_id == "street/500"
    whole = sum(c.share for c in result.hits[0].channels.values())
    assert result.hits[0].score == pytest.approx(whole, abs=1e-6)


def test_weights_are_renormalised_over_who_answered(street, embedder):
    broken = Engine(replace(street, vectors=Broken(street.vectors, {"search"})), embedder).search(ASK).hits[0]
    whole = Engine(street, embedder).search(ASK).hits[0]
    assert broken.channels["text"].normalised == whole.channels["text"].normalised
    assert broken.channels["text"].share == pytest.approx(whole.channels["text"].share / 0.55, rel=1e-5)


def test_a_broken_text_store_is_named_for_both_its_channels(street, embedder):
    engine = Engine(replace(street, text=Broken(street.text, {"best", "document_counts"})), embedder)
    result = engine.search(ASK)
    assert {d.channel for d in result.degraded} == {"text", "screen_text"}
    assert result.hits


def test_a_stalling_channel_is_left_behind(street, embedder):
    let = threading.Event()
    slow = Broken(street.text, {"best"}, let=let)
    engine = Engine(
        replace(street, text=slow), embedder, timeouts_s={"vector": 60, "text": 0.2, "screen_text": 0.2, "facets": 60}
    )
    result = engine.search(ASK)  # while it goes on stalling
    let.set()
    assert result.hits[0].channels.keys() >= {"vector"}
    assert {(d.channel, d.reason) for d in result.degraded} == {("text", "timeout"), ("screen_text", "timeout")}


@pytest.mark.parametrize("vector", [np.full(64, np.nan, np.float32), np.zeros(64, np.float32), np.ones(7, np.float32)])
def test_a_senseless_vector_never_reaches_the_index(street, embedder, vector):
    class Senseless(type(embedder)):
        def embed_texts(self, texts):
            good = super().embed_texts(texts)
            return good if len(texts) > 1 else vector[None]

    result = Engine(street, Senseless()).search(ASK)
    assert [d.channel for d in result.degraded] == ["vector"]
    assert result.hits[0].record.frame_id == "street/500"


def test_no_senseless_vector_is_asked_for(street, embedder):
    """Refused before FAISS sees it: that would sort numbers that cannot be compared."""

    class Sick(type(embedder)):
        def embed_texts(self, texts):
            return np.full_like(super().embed_texts(texts), np.nan)

    def asked(*_, **__):
        pytest.fail("the index was asked")

    vectors = Broken(street.vectors, set())
    vectors.search = asked
    result = Engine(replace(street, vectors=vectors), Sick()).search(ASK)
    assert [d.channel for d in result.degraded] == ["vector"]
    assert result.hits


def test_an_encoder_that_stalls_is_left_behind(street, embedder):
    let = threading.Event()
    engine = Engine(street, embedder, timeouts_s={"vector": 0.2, "text": 60, "screen_text": 60, "facets": 60})
    engine.channels.spaces[0].encoder = Broken(embedder, {"embed_texts"}, ModelError("too late"), let=let)
    result = engine.search(ASK)
    let.set()
    assert [(d.channel, d.reason) for d in result.degraded] == [("vector", "timeout")]
    assert result.hits[0].record.frame_id == "street/500"


def test_an_encoder_that_fails_is_named(street, embedder):
    engine = Engine(street, embedder)
    engine.channels.spaces[0].encoder = Broken(embedder, {"embed_texts"}, ModelError("out of memory"))
    assert [(d.channel, d.reason) for d in engine.search(ASK).degraded] == [("vector", "ModelError")]


def test_another_vector_space_is_refused_by_name(street, embedder):
    engine = Engine(replace(street, fingerprint="other-model"), embedder)
    result = engine.search(ASK)
    assert [(d.channel, d.reason) for d in result.degraded] == [("vector", "VectorSpaceMismatch")]
    assert "other-model" in result.degraded[0].detail
    with pytest.raises(VectorSpaceMismatch):
        engine.search(SearchRequest(image=np.zeros((2, 2, 3), np.uint8)))
    assert engine.search(SearchRequest(like="street/0")).hits  # a stored vector needs no encoder


def test_without_an_encoder_the_texts_still_answer(street):
    result = Engine(street, None).search(ASK)
    assert [d.channel for d in result.degraded] == ["vector"]
    assert result.hits[0].record.frame_id == "street/500"


def test_all_channels_down_is_an_outage_and_never_an_empty_answer(street, embedder):
    broken = replace(
        street,
        vectors=Broken(street.vectors, {"search"}),
        text=Broken(street.text, {"best", "document_counts"}),
        records=Broken(street.records, {"allowed"}),
    )
    with pytest.raises(SearchUnavailable) as caught:
        Engine(broken, embedder).search(ASK)
    assert "vector" in str(caught.value)
    assert "text" in str(caught.value)


def test_a_filter_that_cannot_be_honoured_is_an_outage(street, embedder):
    engine = Engine(replace(street, records=Broken(street.records, {"allowed"})), embedder)
    with pytest.raises(SearchUnavailable):
        engine.search(SearchRequest("chó", where=FrameFilter(videos=("street",))))
    soft = engine.search(SearchRequest("chó"))
    assert [d.channel for d in soft.degraded] == ["facets"]


def test_a_step_of_a_sequence_without_any_channel_is_an_outage(street, embedder):
    engine = Engine(replace(street, vectors=Broken(street.vectors, {"search"})), embedder)
    with pytest.raises(SearchUnavailable):
        engine.search(SearchRequest("", like="street/0", then=("con mèo",)))
