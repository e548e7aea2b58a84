"""A search tells of itself while it is under way: first how it was understood, then what the quick channels found."""

import threading

import pytest

from khung.errors import SearchUnavailable
from khung.search.engine import Engine, SearchRequest
from khung.search.running import Runner


class Ear:
    def __init__(self, gate=None):
        self.heard, self.results, self.gate = [], [], gate

    def parsed(self, parsed):
        self.heard.append(("parsed", parsed.language))

    def partial(self, channels, result):
        self.heard.append(("partial", tuple(channels)))
        self.results.append(result)
        if self.gate:
            self.gate.set()


def test_answers_are_heard_as_they_come():
    gate, heard = threading.Event(), []

    def slow():
        assert gate.wait(30)
        return "slow"

    def hear(answers):
        heard.append(dict(answers))
        gate.set()

    answers, degraded = Runner().run({"vector": slow, "text": lambda: "text"}, hear)
    assert heard == [{"text": "text"}]
    assert (answers, degraded) == ({"vector": "slow", "text": "text"}, [])


def test_a_failure_is_not_heard_and_is_named_in_the_end():
    gate, heard = threading.Event(), []

    def fails():
        try:
            raise OSError("gone")
        finally:
            gate.set()

    def slow():
        assert gate.wait(30)
        return "slow"

    answers, degraded = Runner().run({"text": fails, "vector": slow}, heard.append)
    assert heard == [] and answers == {"vector": "slow"} and [d.channel for d in degraded] == ["text"]


def test_searches_under_way_are_counted_whatever_becomes_of_them():
    runner = Runner()
    with runner._counted() as one, runner._counted() as two:
        assert (one, two) == (1, 2)
    with pytest.raises(SearchUnavailable):
        runner.run({"text": lambda: 1 / 0})
    with runner._counted() as alone:
        assert alone == 1


def test_the_page_so_far_has_only_what_was_found_so_far(street, embedder, monkeypatch):
    """The vector channel waits until the partial page was told."""
    engine, gate = Engine(street, embedder), threading.Event()
    vector = engine.channels.vector
    monkeypatch.setattr(engine.channels, "vector", lambda q: gate.wait(30) and vector(q))
    ear = Ear(gate)
    final = engine.search(SearchRequest("con chó"), ear)
    assert ear.heard[0] == ("parsed", "vi")
    assert "vector" not in ear.heard[1][1], "later ones may have it: the screen's text may be the last to answer"
    for (_, channels), so_far in zip(ear.heard[1:], ear.results, strict=True):
        assert all(hit.channels.keys() <= set(channels) for hit in so_far.hits)
    plain = Engine(street, embedder).search(SearchRequest("con chó"))
    assert [(h.record.frame_id, h.score) for h in final.hits] == [(h.record.frame_id, h.score) for h in plain.hits]


def test_a_listener_can_end_the_search(street, embedder):
    class Gone(Exception):
        pass

    class Leaves(Ear):
        def parsed(self, parsed):
            raise Gone

    with pytest.raises(Gone):
        Engine(street, embedder).search(SearchRequest("con chó"), Leaves())
