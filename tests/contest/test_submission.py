"""Answers before they are sent: both clocks, names, what is refused and what is only pointed out."""

import unicodedata
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khung.contest.clock import frame_of_ms, ms_of_frame
from khung.contest.submission import Pick, item_name, prepare
from khung.errors import AnswerError
from tests.contest.values import video

RATES = st.sampled_from(
    [(25, 1), (30, 1), (24, 1), (30000, 1001), (24000, 1001), (60000, 1001), (2997, 100), (1000, 1)]
)
ANY_RATE = st.tuples(st.integers(1, 240_000), st.integers(1, 1001)).filter(lambda rate: rate[0] <= 1000 * rate[1])
FRAMES = st.integers(0, 10**8)


@given(FRAMES, RATES | ANY_RATE)
def test_milliseconds_are_the_nearest_to_the_exact_time(frame: int, rate: tuple[int, int]) -> None:
    exact = Fraction(frame * 1000 * rate[1], rate[0])
    assert abs(ms_of_frame(frame, *rate) - exact) <= Fraction(1, 2)


@given(FRAMES, RATES | ANY_RATE)
def test_a_frame_survives_the_way_through_milliseconds(frame: int, rate: tuple[int, int]) -> None:
    assert frame_of_ms(ms_of_frame(frame, *rate), *rate) == frame


@given(st.integers(0, 10**9), RATES | ANY_RATE)
def test_the_frame_on_the_screen_is_the_last_that_has_begun(ms: int, rate: tuple[int, int]) -> None:
    frame = frame_of_ms(ms, *rate)
    assert ms_of_frame(frame, *rate) <= ms < ms_of_frame(frame + 1, *rate)


@pytest.mark.parametrize(
    ("frame", "rate", "ms"),
    [
        (3144, (25, 1), 125_760),
        (0, (25, 1), 0),
        (1, (30000, 1001), 33),
        (2, (30000, 1001), 67),
        (107892, (30000, 1001), 3_599_996),
    ],
)
def test_known_pairs(frame: int, rate: tuple[int, int], ms: int) -> None:
    assert ms_of_frame(frame, *rate) == ms


@pytest.mark.parametrize("rate", [(0, 1), (25, 0), (-25, 1), (2001, 2)])
def test_a_rate_that_names_no_frame_is_refused(rate: tuple[int, int]) -> None:
    with pytest.raises(AnswerError):
        ms_of_frame(1, *rate)


@pytest.mark.parametrize(
    ("source_name", "name"),
    [
        ("L21_V001.mp4", "L21_V001"),
        ("N001-V001.MP4", "N001-V001"),
        ("00042.webm", "00042"),
        ("video.with.dots", "video.with.dots"),
        ("video.with.dots.mkv", "video.with.dots"),
        ("Videos_L21_a/L21_V001.mp4", "L21_V001"),
        ("C:\\videos\\phố cổ.mov", "phố cổ"),
    ],
)
def test_the_item_name_is_the_file_name_without_its_extension(source_name: str, name: str) -> None:
    assert item_name(video(source_name=source_name)) == name


def test_the_item_name_is_not_khungs_own_id() -> None:
    draft = prepare("KIS", [Pick(video("Pho_co_2", source_name="Phố cổ (2).mp4"), 10)])
    assert draft.answer.item_name == "Phố cổ (2)"
    assert draft.video_id == "Pho_co_2"


def test_one_frame_is_a_range_of_one_moment() -> None:
    draft = prepare("KIS", [Pick(video(), 3144)], collection="V3C")
    expected = {"mediaItemName": "L21_V001", "mediaItemCollectionName": "V3C", "start": 125_760, "end": 125_760}
    assert draft.answer.wire() == expected
    assert (draft.frames, draft.times_ms, draft.notices) == ((3144,), (125_760,), ())


def test_two_frames_are_the_first_and_the_last_of_a_range() -> None:
    assert prepare("AVS", [Pick(video(), 100), Pick(video(), 150)]).answer.wire() == {
        "mediaItemName": "L21_V001",
        "start": 4000,
        "end": 6000,
    }


def test_a_time_of_the_player_gives_the_frame_on_the_screen() -> None:
    draft = prepare("KIS", [Pick.at(video(), 2_039)])
    assert (draft.frames, draft.times_ms) == ((50,), (2_000,))


def test_a_player_at_its_very_end_shows_the_last_frame() -> None:
    film = video(frame_count=250, duration_ms=10_000)
    assert prepare("KIS", [Pick.at(film, 10_000)]).frames == (249,)
    with pytest.raises(AnswerError):
        prepare("KIS", [Pick.at(film, 10_041)])


def test_question_answers_by_the_rules_of_each_contest() -> None:
    pick = Pick(video("N001-V001"), 100)
    assert prepare("QA", [], text="  a red\n car ").answer.wire() == {"text": "a red car"}
    assert prepare("QA", [pick], text="Năm người", rules="aic").answer.wire() == {"text": "QA-Năm người-N001-V001-4000"}


def test_decomposed_vietnamese_is_sent_composed() -> None:
    assert prepare("QA", [], text=unicodedata.normalize("NFD", "Năm người")).answer.text == "Năm người"


def test_trake_names_its_frames_in_order() -> None:
    picks = [Pick(video(), frame) for frame in (1200, 1850, 2100)]
    assert prepare("TRAKE", picks, rules="aic").answer.wire() == {"text": "TR-L21_V001-1200,1850,2100"}


def test_a_frame_rate_that_varies_uses_the_frames_own_time() -> None:
    odd = video(vfr=True)
    assert prepare("KIS", [Pick(odd, 100, 4_321)]).times_ms == (4_321,)
    guess = prepare("KIS", [Pick(odd, 100)])
    assert (guess.times_ms, [n.code for n in guess.notices]) == ((4_000,), ["vfr_guess"])
    trake = prepare("TRAKE", [Pick(odd, 1, 50), Pick(odd, 2, 90)], rules="aic")
    assert [n.code for n in trake.notices] == ["vfr_frames"]


def test_a_frame_whose_clocks_disagree_is_pointed_out() -> None:
    assert prepare("KIS", [Pick(video(), 100, 4_039)]).notices == ()
    draft = prepare("KIS", [Pick(video(), 100, 4_100)])
    assert (draft.times_ms, [n.code for n in draft.notices]) == ((4_100,), ["clock_disagrees"])


def test_an_unknown_rate_needs_the_frames_own_time() -> None:
    unknown = video(fps_num=0, fps_den=0)
    assert prepare("KIS", [Pick(unknown, 7, 280)]).times_ms == (280,)
    with pytest.raises(AnswerError, match="player"):
        prepare("KIS", [Pick(unknown, 7)])


@pytest.mark.parametrize(
    ("kind", "frames", "text", "rules"),
    [
        ("KIS", [], "", "vbs"),
        ("KIS", [1, 2, 3], "", "vbs"),
        ("KIS", [10_000], "", "vbs"),
        ("KIS", [-1], "", "vbs"),
        ("AVS", [20, 10], "", "vbs"),
        ("QA", [], "", "vbs"),
        ("QA", [], " \n ", "vbs"),
        ("QA", [1], "", "aic"),
        ("QA", [], "five", "aic"),
        ("TRAKE", [1, 2], "", "vbs"),
        ("TRAKE", [1], "", "aic"),
        ("TRAKE", [2, 1], "", "aic"),
        ("TRAKE", [2, 2], "", "aic"),
    ],
)
def test_what_can_never_be_right_is_refused(kind: str, frames: list[int], text: str, rules: str) -> None:
    with pytest.raises(AnswerError) as caught:
        prepare(kind, [Pick(video(), frame) for frame in frames], text=text, rules=rules)
    assert caught.value.cure


def test_a_time_beyond_the_end_is_refused() -> None:
    with pytest.raises(AnswerError, match="outside"):
        prepare("KIS", [Pick(video(), 9_999, 400_001)])


def test_frames_of_two_videos_are_no_answer() -> None:
    with pytest.raises(AnswerError, match="different videos"):
        prepare("TRAKE", [Pick(video("A"), 1), Pick(video("B"), 2)], rules="aic")
