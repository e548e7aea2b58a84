"""Further steps of a question: each is read like a question of its own, and nothing of it is dropped in silence."""

import pytest

from khung.errors import NotFound, QueryError
from khung.search.engine import Engine, SearchRequest
from khung.search.parsed import Gap
from khung.search.query import parse
from khung.search.questions import with_steps
from khung.stores import FrameFilter


@pytest.fixture(scope="module")
def engine(street, embedder):
    return Engine(street, embedder)


def read(text: str, *then: str):
    return with_steps(parse(text), SearchRequest(text, then=then))


def chains(result) -> list[list[str]]:
    return [[hit.record.frame_id, *(step.record.frame_id for step in hit.chain)] for hit in result.hits]


def test_then_in_a_step_makes_further_steps():
    parsed = read("nấu ăn", "bát phở rồi con mèo ngủ trong vòng 20 giây", "con chó")
    assert [event.text for event in parsed.events] == ["nấu ăn", "bát phở", "con mèo ngủ", "con chó"]
    assert parsed.gaps == (Gap(), Gap(0, 20_000), Gap())
    assert read("nấu ăn rồi bát phở", "con mèo").gaps == (Gap(), Gap())


def test_the_conditions_of_a_step_are_its_own():
    parsed = read("nấu ăn", "con chó sau 2:00", "con mèo 10 giây cuối ocr:PHỞ -obj:car")
    first, second, third = parsed.events
    assert not first.hard and not parsed.hard
    assert second.hard.where.from_ms == 120_000
    assert (third.hard.last_ms, third.hard.must_show, third.hard.where.not_objects) == (10_000, ("PHỞ",), ("car",))


@pytest.mark.parametrize(
    ("step", "gap", "text"),
    [
        ("con mèo ngủ trong vòng 20 giây", Gap(0, 20_000), "con mèo ngủ"),
        ("con meo ngu trong vong 20 giay", Gap(0, 20_000), "con meo ngu"),
        ("a cat sleeps within 20 s", Gap(0, 20_000), "a cat sleeps"),
        ("20 giây sau, con mèo ngủ", Gap(10_000, 30_000), "con mèo ngủ"),
        ("sau 2 phút con mèo ngủ", Gap(60_000, 180_000), "con mèo ngủ"),
        ("con mèo ngủ", Gap(), "con mèo ngủ"),
        ("sau 2:00 con mèo ngủ", Gap(), "con mèo ngủ"),
    ],
)
def test_a_duration_in_a_step_is_the_time_since_the_one_before(step, gap, text):
    parsed = read("nấu ăn", step)
    assert (parsed.gaps, parsed.events[1].text) == ((gap,), text)
    assert bool(parsed.events[1].hard) == ("2:00" in step)
    alone = parse(step)
    assert alone.lead is None, "only a further step has one before it"


def test_the_chain_keeps_to_that_time(engine):
    near = engine.search(SearchRequest("người phụ nữ nấu ăn", then=("con chó trong vòng 20 giây",)))
    assert near.hits and all(hit.chain[0].record.pts_ms - hit.record.pts_ms <= 20_000 for hit in near.hits)


def test_a_step_is_found_in_its_own_time_only(engine):
    free = engine.search(SearchRequest("người phụ nữ nấu ăn", then=("con chó chạy vào bếp",)))
    assert chains(free)[0] == ["kitchen/0", "kitchen/3750"]
    early = engine.search(SearchRequest("người phụ nữ nấu ăn", then=("con chó chạy vào bếp trước 1:00",)))
    assert early.hits and all(hit.chain[0].record.pts_ms < 60_000 for hit in early.hits)
    assert any(hit.record.pts_ms >= 60_000 for hit in engine.search(SearchRequest("con chó trong bếp")).hits)


def test_conditions_of_the_question_and_of_a_step_both_hold(engine):
    request = SearchRequest("nấu ăn video:kitchen", then=("con mèo before:1:00",), where=FrameFilter(to_ms=20_000))
    assert all(hit.chain[0].record.pts_ms < 20_000 for hit in engine.search(request).hits)
    nowhere = SearchRequest("nấu ăn video:kitchen", then=("thuyền video:sea",))
    assert (engine.search(nowhere).hits, engine.search(nowhere).total) == ([], 0)


def test_a_step_may_be_like_a_frame(engine):
    found = engine.search(SearchRequest("người phụ nữ nấu ăn", then=("like:street/500",)))
    assert chains(found)[0] == ["kitchen/0", "kitchen/3750"]
    with pytest.raises(NotFound):
        engine.search(SearchRequest("nấu ăn", then=("like:street/31337",)))


@pytest.mark.parametrize("step", ["video:kitchen", "sau 2:00", "?!", "ocr:PHỞ"])
def test_a_step_that_names_nothing_to_look_for_is_refused(engine, step):
    with pytest.raises(QueryError, match="names nothing to look for") as refused:
        engine.search(SearchRequest("nấu ăn", then=(step,)))
    assert refused.value.cure


def test_the_steps_of_all_steps_are_counted():
    with pytest.raises(QueryError, match="7 steps"):
        read("a", "b rồi c rồi d", "e rồi f rồi g")
