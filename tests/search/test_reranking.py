"""The second look at the best hits."""

import time
from dataclasses import replace

import numpy as np
import pytest

from khung.errors import ModelError
from khung.search.engine import Engine
from khung.search.query import parse
from khung.search.request import SearchRequest
from khung.search.reranking import CaptionReranker
from khung.vision import files
from khung.vision.e5 import E5

QUESTION = "con chó"


class Words:
    """The bag of words of these tests as a text encoder; counts what it encodes."""

    def __init__(self, embedder) -> None:
        self.embedder, self.encoded = embedder, 0

    def queries(self, texts):
        return self.embedder.embed_texts(texts)

    def passages(self, texts):
        self.encoded += len(texts)
        return self.embedder.embed_texts(texts)


class Reversed:
    """Puts the first hits upside down."""

    depth = 3

    def rerank(self, parsed, records, scores):
        return [n / 10 for n in range(len(records))]


class Broken:
    depth = 5

    def rerank(self, parsed, records, scores):
        raise ModelError("out of memory")


class Slow:
    depth = 5

    def rerank(self, parsed, records, scores):
        time.sleep(3)
        return scores


def ids(result) -> list[str]:
    return [hit.record.frame_id for hit in result.hits]


def test_only_the_first_hits_are_put_in_another_order(street, embedder):
    plain = ids(Engine(street, embedder).search(SearchRequest(QUESTION)))
    looked = ids(Engine(street, embedder, reranker=Reversed()).search(SearchRequest(QUESTION)))
    assert looked == plain[2::-1] + plain[3:]


def test_pages_fit_together(street, embedder):
    engine = Engine(street, embedder, reranker=Reversed())
    whole = ids(engine.search(SearchRequest(QUESTION, limit=6)))
    parts = [ids(engine.search(SearchRequest(QUESTION, limit=2, offset=n))) for n in (0, 2, 4)]
    assert [i for part in parts for i in part] == whole


def test_a_second_look_that_fails_is_named_and_the_first_order_stays(street, embedder):
    plain = Engine(street, embedder).search(SearchRequest(QUESTION))
    result = Engine(street, embedder, reranker=Broken()).search(SearchRequest(QUESTION))
    assert ids(result) == ids(plain)
    assert [(d.channel, d.reason, d.detail) for d in result.degraded] == [("reranker", "ModelError", "out of memory")]


def test_a_second_look_that_takes_too_long_is_not_waited_for(street, embedder):
    engine = Engine(
        street,
        embedder,
        reranker=Slow(),
        timeouts_s={"reranker": 0.05, "vector": 60, "text": 60, "screen_text": 60, "facets": 60},
    )
    result = engine.search(SearchRequest(QUESTION))
    assert [(d.channel, d.reason) for d in result.degraded] == [("reranker", "timeout")]
    assert result.hits


def test_sequences_have_no_second_look(street, embedder):
    result = Engine(street, embedder, reranker=Broken()).search(SearchRequest("con chó rồi con mèo"))
    assert not result.degraded


def test_captions_near_the_question_come_first_and_are_encoded_once(street, embedder):
    words = Words(embedder)
    engine = Engine(street, embedder, reranker=CaptionReranker(words, depth=5, share=1.0))
    hits = engine.search(SearchRequest(QUESTION)).hits
    assert "chó" in hits[0].record.description.captions["vi"]
    assert all(0 <= hit.score <= 1 for hit in hits)
    before = words.encoded
    engine.search(SearchRequest(QUESTION))
    assert words.encoded == before


def test_without_words_or_captions_the_scores_stay(street, embedder):
    reranker = CaptionReranker(Words(embedder))
    engine = Engine(street, embedder, reranker=reranker)
    alone = Engine(street, embedder).search(SearchRequest(like="street/0"))
    assert engine.search(SearchRequest(like="street/0")).hits == alone.hits


def test_vectors_that_are_not_finite_are_an_error(street, embedder):
    class Nan(Words):
        def passages(self, texts):
            return np.full((len(texts), 64), np.nan, np.float32)

    result = Engine(street, embedder, reranker=CaptionReranker(Nan(embedder))).search(SearchRequest(QUESTION))
    assert [d.channel for d in result.degraded] == ["reranker"]


@pytest.mark.models
def test_the_packaged_model_sees_across_languages(street, embedder, models_dir):
    """English questions, Vietnamese captions told apart by meaning alone."""
    reranker = CaptionReranker(E5(files.path("e5-small-q4.bin", models_dir)), depth=20, share=1.0)
    records = street.records.frames(
        ["kitchen/750", "sea/750", "street/250"]
    )  # a cat asleep, children at play, cars waiting
    vietnamese = [
        replace(r, description=replace(r.description, captions={"vi": r.description.captions["vi"]})) for r in records
    ]
    for text, wanted in (("a kitten is sleeping", 0), ("kids kick a ball", 1), ("vehicles at a red light", 2)):
        scores = reranker.rerank(parse(text), vietnamese, [0.5, 0.5, 0.5])
        assert int(np.argmax(scores)) == wanted
