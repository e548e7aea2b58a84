"""Questions from hell, asked of the whole engine over real stores: a clear refusal or an honest answer, never a crash.

The numbers are those of the rows of fault scenarios: what is empty, huge, malformed, hostile, tied, degenerate.
"""

import unicodedata

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from khung.errors import NotFound, QueryError
from khung.search.engine import Engine, SearchRequest
from khung.stores import FrameFilter
from tests.search.conftest import DIM, Frame, WordEmbedder, build
from tests.support.effort import calls

ROW_35 = ("\u200b", "\u200d", "\u202e", "\u2066", "🐕", "\ufeff")
SPELLINGS = (
    ("con chó chạy qua hoà bình", "con chó chạy qua hòa bình"),
    ("thuỷ thủ đánh cá", "thủy thủ đánh cá"),
    ("kỹ sư nói về bão", "kĩ sư nói về bão"),
    ("Đàn ông mặc áo đỏ", "Ðàn ông mặc áo đỏ"),
    ("bát phở và ly nước", "bát phở và li nước"),
)


@pytest.fixture(scope="module")
def engine(street, embedder):
    return Engine(street, embedder)


def ids(result) -> list[str]:
    return [hit.record.frame_id for hit in result.hits]


def ranking(engine, text: str) -> list[tuple[str, float]]:
    return [(hit.record.frame_id, round(hit.score, 6)) for hit in engine.search(SearchRequest(text)).hits]


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "...", "?!,;", "→ ->", "“”", '""', "\u200b\u200d", "-"])
def test_33_nothing_asked_is_refused_with_a_cure(engine, text):
    with pytest.raises(QueryError) as refused:
        engine.search(SearchRequest(text))
    assert refused.value.cure


@pytest.mark.parametrize("text", ["tìm cho tôi", "show me", "có trong và", "the of in", "cảnh", "tim cho toi"])
def test_33_only_courtesies_and_small_words_are_taken_at_their_word(engine, text):
    assert engine.search(SearchRequest(text)).total >= 0


@pytest.mark.parametrize(
    "text", ["a" * 2**20, "chó " * 100_000, "chó rồi " * 50 + "mèo", " then ".join(["dog"] * 50)], ids=lambda t: t[:12]
)
def test_34_too_much_is_refused_before_anything_is_asked(engine, text, monkeypatch):
    monkeypatch.setattr(engine.runner, "run", lambda *_: pytest.fail("a channel was asked"))
    with pytest.raises(QueryError) as refused:
        engine.search(SearchRequest(text))
    assert refused.value.cure


@pytest.mark.parametrize("mark", ROW_35, ids=lambda m: f"U+{ord(m):04X}")
def test_35_what_cannot_be_seen_changes_nothing(engine, mark):
    plain = ranking(engine, "con chó chạy qua đường")
    assert ranking(engine, f"{mark}con chó {mark} chạy qua đường{mark}") == plain
    if mark != "🐕":  # inside a word an emoji parts it
        assert ranking(engine, f"con chó ch{mark}ạy qua đường") == plain


@pytest.mark.parametrize("text", ["con chó\x00 chạy", "con \ud800chó", "\udfff", "a\x00b\x1b[31m"])
def test_35_broken_characters_are_refused_or_read_as_text(engine, text):
    try:
        engine.search(SearchRequest(text))
    except QueryError as refused:
        assert refused.message


def test_35_mixed_composition_ranks_alike(engine):
    words = "Phát thanh viên nói về bão trên biển".split()
    mixed = " ".join(unicodedata.normalize("NFD" if n % 2 else "NFC", w) for n, w in enumerate(words))
    assert ranking(engine, mixed) == ranking(engine, " ".join(words))


@pytest.mark.parametrize(("one", "other"), SPELLINGS)
def test_36_two_spellings_one_answer(engine, one, other):
    assert ranking(engine, one) == ranking(engine, other) == ranking(engine, one.upper())


@pytest.mark.parametrize(
    "text",
    ["sau " * 240, "trong vòng " * 90, '"' * 900, "((((" * 200, "1:" * 450, "không có " * 100, "obj:" * 230, "-a " * 320, "rồi " * 5 + "a" * 900],
    ids=lambda t: t[:8],
)  # fmt: skip
@pytest.mark.timeout(60)  # what would backtrack without end
def test_37_repetition_costs_no_more_than_its_length(engine, text):
    """Twice the text is about twice the work, of reading it and of asking for it."""

    def ask(text: str) -> None:
        try:
            engine.search(SearchRequest(text))
        except QueryError as refused:
            assert refused.message

    whole, half = text[:990], text[:495]
    for known in (whole, half):  # what is remembered of words is not counted
        ask(known)
    assert calls(lambda: ask(whole)) < 2.5 * calls(lambda: ask(half)) + 5000


@pytest.mark.parametrize(
    "text",
    ["chó from:99:99", "after:99:99 chó", "before:-1 chó", "after:2:30 before:1:00 chó", "từ 5:00 đến 2:00", "after:1e309 chó", "sau 999999 giờ", "chó sau 9999999999 phút", "phút thứ 0", "at:", "after:9:59:59 chó", "cuối -5 phút"],
)  # fmt: skip
def test_38_times_that_cannot_be(engine, text):
    try:
        result = engine.search(SearchRequest(text))
    except QueryError as refused:
        assert refused.cure
    else:
        assert all(hit.record.pts_ms >= 0 for hit in result.hits)


def test_38_a_time_after_the_end_finds_nothing_and_says_what_was_asked(engine):
    result = engine.search(SearchRequest("chó after:9:59:59"))
    assert (result.hits, result.total, result.degraded) == ([], 0, [])
    assert any(piece.hard for piece in result.parsed.pieces)


@pytest.mark.parametrize(
    "text",
    ["'; DROP TABLE frames; --", "vi_key:cho^99 OR *:*", '{"match_all": {}}', "chó AND NOT mèo", "video:') OR 1=1", 'obj:"person\' OR"', "ocr:\"*\"", "chó~2 +mèo /.*/ [a TO z]", "$where: 1", "like:../../etc/passwd"],
)  # fmt: skip
def test_39_other_languages_are_only_text(engine, text):
    try:
        assert engine.search(SearchRequest(text)).total < 12
    except (QueryError, NotFound) as refused:
        assert refused.message
    assert engine.search(SearchRequest("con chó")).hits


# -- rankings that could go wrong


@pytest.fixture(scope="module")
def alike(tmp_path_factory) -> Engine:
    """Two hundred frames that are the same to every channel, in forty videos."""
    vector = np.eye(1, DIM, dtype=np.float32)[0]
    frames = [
        Frame(f"v{n % 40:02}", 10.0 * (n // 40), "con chó", "a dog", objects=("dog",), vector=vector)
        for n in range(200)
    ]
    return Engine(build(tmp_path_factory.mktemp("alike"), frames, parts=3), WordEmbedder())


def test_53_equal_scores_come_in_the_frames_order_and_always_the_same(alike):
    first = alike.search(SearchRequest("con chó", limit=200))
    assert len({round(h.score, 6) for h in first.hits}) == 1
    assert ids(first) == sorted(ids(first), key=lambda i: (i.split("/")[0], int(i.split("/")[1])))
    assert [ids(alike.search(SearchRequest("con chó", limit=200))) for _ in range(3)] == [ids(first)] * 3


def test_53_pages_of_equal_scores_neither_repeat_nor_skip(alike):
    pages = [ids(alike.search(SearchRequest("con chó", limit=30, offset=n))) for n in range(0, 200, 30)]
    flat = [i for page in pages for i in page]
    assert len(flat) == len(set(flat)) == 200


@pytest.mark.parametrize("preset", ["balanced", "fixed", "proposal", "rrf"])
def test_54_one_hit_or_equal_hits_still_rank(engine, alike, preset):
    only = engine.search(SearchRequest('"51F-123.45"', preset=preset)).hits
    assert only[0].record.frame_id == "street/250"
    assert only[0].channels["screen_text"].share > 0
    assert all(hit.score > 0 for hit in alike.search(SearchRequest("con chó", preset=preset)).hits)


def test_55_a_filter_that_lets_nothing_pass(engine):
    for where in (FrameFilter(objects=("zebra",)), FrameFilter(videos=("nowhere",)), FrameFilter(from_ms=10**9)):
        result = engine.search(SearchRequest("con chó", where=where))
        assert (result.hits, result.total, result.degraded) == ([], 0, [])


def test_55_a_filter_that_lets_all_pass_is_no_filter(engine):
    plain = engine.search(SearchRequest("con chó chạy"))
    for where in (
        FrameFilter(from_ms=0),
        FrameFilter(videos=("street", "kitchen", "sea")),
        FrameFilter(not_objects=("zebra",)),
    ):
        assert engine.search(SearchRequest("con chó chạy", where=where)).hits == plain.hits


def test_a_filter_starves_no_channel(tmp_path):
    """The frames that pass are the worst of a thousand for every channel: filtered after the search, none would be left."""
    rng = np.random.default_rng(2)
    near = np.eye(1, DIM, dtype=np.float32)[0]

    def unlike() -> np.ndarray:
        v = 0.6 * near + rng.standard_normal(DIM).astype(np.float32) * 0.1
        return (v / np.linalg.norm(v)).astype(np.float32)

    good = [
        Frame(
            f"a{n % 10}", 3.0 * (n // 10), "con chó chạy trên bãi biển", "a dog runs on the beach", "CHÓ", vector=near
        )
        for n in range(1000)
    ]
    poor = [
        Frame(
            "rare",
            3.0 * n,
            "con chó",
            "a dog and much else that nobody asked for",
            "CHÓ CON",
            ("boat",),
            vector=unlike(),
        )
        for n in range(7)
    ]
    library = build(tmp_path, good + poor)
    library.normalisers = {"vector_text": (0.0, 0.2), "vector_image": (0.0, 0.2)}  # else the many alike are the scale
    engine = Engine(library, Towards(near))
    result = engine.search(SearchRequest("con chó chạy trên bãi biển", where=FrameFilter(objects=("boat",)), limit=20))
    assert {hit.record.video_id for hit in result.hits} == {"rare"}
    assert result.total == 7
    for name in ("vector", "text", "screen_text"):
        assert all(name in hit.channels for hit in result.hits), name


class Towards(WordEmbedder):
    """Every question looks the same way."""

    def __init__(self, vector: np.ndarray) -> None:
        self._vector = vector

    def embed_texts(self, texts):
        return np.stack([self._vector for _ in texts])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=200))
def test_any_text_is_answered_or_refused(engine, text):
    try:
        result = engine.search(SearchRequest(text, limit=5))
    except (QueryError, NotFound) as refused:
        assert refused.message
    else:
        assert not result.degraded
        assert all(0 <= hit.score <= 1 for hit in result.hits)
