"""The engine over real stores: channels together, filters inside, explanations, sequences, pages."""

import numpy as np
import pytest

from khung.errors import NotFound, QueryError
from khung.search.engine import Engine, SearchRequest
from khung.stores import FrameFilter


@pytest.fixture(scope="module")
def engine(street, embedder):
    return Engine(street, embedder)


def ids(result) -> list[str]:
    return [hit.record.frame_id for hit in result.hits]


@pytest.mark.parametrize(
    "text,first",
    [
        ("người đàn ông áo đỏ", "street/0"),
        ("nguoi dan ong ao do", "street/0"),
        ("a man in a red shirt", "street/0"),
        ("xe buýt màu xanh", "street/1000"),
        ("dog in the kitchen", "kitchen/3750"),
        ('"51F12345"', "street/250"),
        ('"pho ha noi"', "street/0"),
        ("hai chiếc ô tô", "street/250"),
        ("tìm cho tôi cảnh có con mèo ngủ", "kitchen/750"),
    ],
)
def test_the_right_frame_comes_first(engine, text, first):
    result = engine.search(SearchRequest(text))
    assert ids(result)[0] == first
    assert not result.degraded
    assert result.snapshot_id == "s-test"


def test_scores_are_the_sum_of_their_shares_and_say_why(engine):
    for hit in engine.search(SearchRequest("người mặc áo đỏ trên phố")).hits:
        assert hit.score == pytest.approx(sum(c.share for c in hit.channels.values()), abs=1e-6)
        assert 0 < hit.score <= 1
        assert all(0 <= c.normalised <= 1 for c in hit.channels.values())
    best = engine.search(SearchRequest("người mặc áo đỏ")).hits[0]
    assert "áo" in best.channels["text"].why
    assert "red" in best.channels["facets"].why


def test_filters_act_inside_the_channels(engine):
    result = engine.search(SearchRequest("con chó", where=FrameFilter(videos=("kitchen",))))
    assert {h.record.video_id for h in result.hits} == {"kitchen"}
    assert ids(result)[0] == "kitchen/3750"
    late = engine.search(SearchRequest("con chó after:1:00"))
    assert ids(late) == ["kitchen/3750"] or all(h.record.pts_ms >= 60_000 for h in late.hits)
    assert engine.search(SearchRequest("chó video:sea", where=FrameFilter(videos=("street",)))).hits == []
    assert engine.search(SearchRequest("chó", where=FrameFilter(objects=("zebra",)))).total == 0


def test_hard_screen_text_and_the_last_seconds(engine):
    assert ids(engine.search(SearchRequest('người ocr:"thoi su"'))) == ["sea/1500"]
    last = engine.search(SearchRequest("chó 15 giây cuối"))
    assert ids(last)[0] == "kitchen/3750"
    assert set(ids(last)) <= {"kitchen/3750", "sea/1500", "street/1000"}  # nobody else is that late


def test_a_filter_alone_lists_in_order_of_time(engine):
    assert ids(engine.search(SearchRequest("video:street"))) == ["street/0", "street/250", "street/500", "street/1000"]


def test_without_pushes_down(engine):
    def with_dog(text: str) -> float:
        return next(
            (h.score for h in engine.search(SearchRequest(text)).hits if h.record.frame_id == "street/500"), 0.0
        )

    assert with_dog("đường ban đêm không có chó") < with_dog("đường ban đêm")


def test_a_sequence_is_found_with_its_chain(engine):
    hit = engine.search(SearchRequest("người phụ nữ nấu ăn rồi con mèo ngủ")).hits[0]
    assert hit.record.frame_id == "kitchen/0"
    assert [step.record.frame_id for step in hit.chain] == ["kitchen/750"]
    assert hit.chain[0].channels["text"].why
    boxes = engine.search(SearchRequest("người phụ nữ nấu ăn", then=("con mèo ngủ",))).hits[0]
    assert (boxes.record.frame_id, boxes.chain[0].record.frame_id) == ("kitchen/0", "kitchen/750")


def test_a_gap_limits_the_chain(engine):
    near = engine.search(SearchRequest("người phụ nữ nấu ăn rồi con chó trong vòng 20 giây"))
    assert all(h.chain[0].record.pts_ms - h.record.pts_ms <= 20_000 for h in near.hits)
    far = engine.search(SearchRequest("nấu ăn rồi con chó chạy vào bếp"))
    assert (far.hits[0].record.frame_id, far.hits[0].chain[0].record.frame_id) == ("kitchen/0", "kitchen/3750")


def test_like_a_frame_a_picture_and_feedback(engine, street):
    like = engine.search(SearchRequest(like="street/500"))
    assert ids(like)[0] == "kitchen/3750"
    assert "street/500" not in ids(like)
    picture = np.zeros((4, 4, 3), np.uint8)
    both = engine.search(SearchRequest("con mèo ngủ", image=picture))
    assert ids(both)[0] == "kitchen/750"
    plain = engine.search(SearchRequest("bãi biển"))
    fed = engine.search(SearchRequest("bãi biển", more=("kitchen/750",), less=("sea/125",)))

    def cosine(result, frame):
        found = [h.channels["vector"].raw for h in result.hits if h.record.frame_id == frame and "vector" in h.channels]
        return found[0] if found else -1.0

    assert cosine(fed, "kitchen/750") > cosine(plain, "kitchen/750")
    assert cosine(fed, "sea/125") < cosine(plain, "sea/125")


def test_an_unknown_frame_is_the_searchers_to_mend(engine):
    with pytest.raises(NotFound):
        engine.search(SearchRequest(like="street/31337"))


def test_pages_continue_one_another(engine):
    whole = ids(engine.search(SearchRequest("người")))
    parts = [ids(engine.search(SearchRequest("người", limit=2, offset=n))) for n in range(0, len(whole), 2)]
    assert [i for part in parts for i in part] == whole


def test_one_video_does_not_fill_the_page(engine):
    result = engine.search(SearchRequest("video:street", per_video=1))
    assert ids(result) == ["street/0"]
    assert result.hits[0].more_in_video == 3
    assert result.total == 4


def test_facets_count_what_was_found(engine):
    result = engine.search(SearchRequest("video:street"))
    assert result.facets["objects"]["car"] == 1
    assert engine.search(SearchRequest("video:street", facets=False)).facets == {}


@pytest.mark.parametrize(
    "request_",
    [SearchRequest(), SearchRequest("?!"), SearchRequest("a", limit=0), SearchRequest("a", limit=10**9), SearchRequest("a", offset=-1), SearchRequest("a", per_video=0), SearchRequest("a", preset="nope")],
)  # fmt: skip
def test_a_bad_request_is_refused(engine, request_):
    with pytest.raises(QueryError):
        engine.search(request_)


def test_answers_are_repeatable(engine):
    request = SearchRequest("người trên phố")
    assert ids(engine.search(request)) == ids(engine.search(request))
