"""Quick channels follow one another in one thread; one that is not quick holds nobody up."""

import contextlib
import gc
import threading
import weakref

import pytest
import tantivy

from khung.errors import QueryError, SearchUnavailable
from khung.search.running import Runner, log
from tests.support.patience import until


def test_one_that_waits_holds_nobody_up():
    """Each can only end when all of them have begun."""
    together = threading.Barrier(4)
    jobs = {name: lambda name=name: together.wait(30) is not None and name for name in "abcd"}
    answers, degraded = Runner(dict.fromkeys("abcd", 60.0)).run(jobs)
    assert (answers, degraded) == ({name: name for name in "abcd"}, [])


def test_one_that_never_ends_is_named_and_the_others_answer():
    gate = threading.Event()
    jobs = {"vector": lambda: gate.wait(60), "text": lambda: "text", "facets": lambda: "facets"}
    answers, degraded = Runner({"vector": 0.3, "text": 60.0, "facets": 60.0}).run(jobs)
    gate.set()
    assert answers == {"text": "text", "facets": "facets"}
    assert [(d.channel, d.reason) for d in degraded] == [("vector", "timeout")]


def test_why_a_channel_was_late_is_logged_when_it_fails_after_all(caplog):
    gate = threading.Event()

    def fails():
        gate.wait(60)
        raise OSError("the disk is gone")

    _, degraded = Runner({"vector": 0.2, "text": 60.0}).run({"vector": fails, "text": lambda: "text"})
    assert [d.reason for d in degraded] == ["timeout"]
    gate.set()
    until(lambda: "channel_failed_late" in [record.message for record in caplog.records])
    assert "the disk is gone" in caplog.text


def test_a_panic_of_tantivy_is_the_channels_own_too():
    """Rust's panics come as PanicException, which is no Exception: a search for no hits at all is one."""
    searcher = tantivy.Index(tantivy.SchemaBuilder().build()).searcher()
    jobs = {"text": lambda: searcher.search(tantivy.Query.all_query(), 0), "vector": lambda: 1}
    answers, degraded = Runner().run(jobs)
    assert (answers, [(d.channel, d.reason) for d in degraded]) == ({"vector": 1}, [("text", "PanicException")])
    with pytest.raises(SearchUnavailable):
        Runner().run({"text": jobs["text"]})


def test_an_error_is_the_channels_own_and_a_question_to_mend_is_raised():
    def fails():
        raise OSError("gone")

    def refuses():
        raise QueryError("no")

    answers, degraded = Runner().run({"text": fails, "facets": lambda: 1})
    assert (answers, [(d.channel, d.reason) for d in degraded]) == ({"facets": 1}, [("text", "OSError")])
    with pytest.raises(SearchUnavailable):
        Runner().run({"text": fails})
    with pytest.raises(QueryError):
        Runner().run({"text": lambda: 1, "facets": refuses})


def test_a_full_pool_is_a_timeout_and_no_deadlock():
    gate, ended = threading.Event(), []
    runner = Runner({"vector": 0.2, "text": 0.2}, threads=1)
    with pytest.raises(SearchUnavailable):
        runner.run(dict.fromkeys(("vector", "text"), lambda: ended.append(gate.wait(60))))
    assert not ended  # it was not waited for
    gate.set()


@pytest.mark.parametrize("error", [OSError, QueryError])
def test_what_a_failed_channel_held_is_let_go_at_once(monkeypatch, error):
    """Large arrays, perhaps, and the collector of cycles is kept short."""
    held = []

    def fails():
        large = threading.Event()
        held.append(weakref.ref(large))
        raise error("no")

    monkeypatch.setattr(log, "disabled", True)  # pytest keeps what was logged
    gc.disable()
    try:
        with contextlib.suppress(QueryError):
            Runner().run({"text": fails, "facets": lambda: 1})
        assert held[0]() is None
    finally:
        gc.enable()
