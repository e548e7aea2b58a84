"""The AI Challenge's files: what is written, what is read, what the organisers would refuse."""

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khung.contest.aic import MapRow, Row, pack, problems, read, read_map, row, task_of, write, write_map
from khung.errors import AnswerError
from tests.contest.values import keyframe, video

NAMES = st.from_regex(r"[LN][0-9]{2}[_-]V[0-9]{3}", fullmatch=True)
FRAME = st.integers(0, 10**6)
ANSWERS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=100)


def test_each_task_has_its_form() -> None:
    assert (
        write("query-1-kis", [Row("L00_V000", (1234,)), Row("L00_V055", (5555,))]) == b"L00_V000,1234\nL00_V055,5555\n"
    )
    rows = [Row("L01_V028", (3450,), "5"), Row("L03_V005", (2800,), 'Màu "đỏ", rất đẹp')]
    assert write("query-3-qa", rows).decode() == 'L01_V028,3450,5\nL03_V005,2800,"Màu ""đỏ"", rất đẹp"\n'
    assert write("query-p1-4-trake", [Row("L10_V001", (1200, 1850, 2100))]) == b"L10_V001,1200,1850,2100\n"


@given(st.lists(st.builds(Row, NAMES, st.tuples(FRAME)), min_size=1, max_size=100, unique=True))
def test_kis_rows_come_back(rows: list[Row]) -> None:
    assert read("q-1-kis", write("q-1-kis", rows)) == rows


@given(st.lists(st.builds(Row, NAMES, st.tuples(FRAME), ANSWERS), min_size=1, max_size=100))
def test_question_answers_come_back_on_one_line(rows: list[Row]) -> None:
    plain = [Row(row.item_name, row.frames, " ".join(row.answer.split())) for row in rows]
    good = list(dict.fromkeys(row for row in plain if row.answer))
    if good:
        back = read("q-1-qa", write("q-1-qa", good))
        assert [(row.item_name, row.frames) for row in back] == [(row.item_name, row.frames) for row in good]


@given(
    st.integers(2, 6).flatmap(
        lambda n: st.lists(st.lists(FRAME, min_size=n, max_size=n, unique=True), min_size=1, max_size=9)
    )
)
def test_event_frames_come_back(lists: list[list[int]]) -> None:
    rows = list(dict.fromkeys(Row("L21_V001", tuple(sorted(frames))) for frames in lists))
    assert read("q-1-trake", write("q-1-trake", rows, events=len(lists[0]))) == rows


def test_equal_rows_take_no_place() -> None:
    assert write("q-1-kis", [Row("A", (1,)), Row("B", (1,)), Row("A", (1,))]) == b"A,1\nB,1\n"
    assert write("q-1-kis", [Row("A", (n % 100,)) for n in range(1000)]).count(b"\n") == 100


VIDEOS = {"L21_V001": video()}


@pytest.mark.parametrize(
    ("query", "rows", "words"),
    [
        ("q-1-kis", [], "0 rows"),
        ("q-1-kis", [Row("A", (n,)) for n in range(101)], "101 rows"),
        ("q-1-kis", [Row("A", (1,)), Row("A.mp4", (1,))], "Row 2: “A.mp4” must"),
        ("q-1-kis", [Row("", (1,))], "without extension"),
        ("q-1-kis", [Row("A", (1, 2))], "2 frames where 1"),
        ("q-1-kis", [Row("A", ())], "0 frames where 1"),
        ("q-1-kis", [Row("A", (-1,))], "negative"),
        ("q-1-kis", [Row("A", (1,), "x")], "only QA"),
        ("q-1-qa", [Row("A", (1,))], "answer is missing"),
        ("q-1-qa", [Row("A", (1,), "ă" * 101)], "101 characters"),
        ("q-1-trake", [Row("A", (1,))], "1 frames where 2"),
        ("q-1-trake", [Row("A", (2, 1))], "order of time"),
        ("q-1-trake", [Row("A", (1, 1))], "order of time"),
        ("q-1-trake", [Row("A", (1, 2)), Row("A", (1, 2, 3))], "Row 2: 3 frames where 2"),
    ],
)
def test_what_the_organisers_would_refuse(query: str, rows: list[Row], words: str) -> None:
    assert any(words in problem for problem in problems(query, rows))
    with pytest.raises(AnswerError):
        write(query, rows)


def test_frames_are_held_against_the_library() -> None:
    assert problems("q-1-kis", [Row("L21_V001", (9_999,))], videos=VIDEOS) == []
    assert problems("q-1-kis", [Row("L21_V001", (10_000,))], videos=VIDEOS) == [
        "Row 1: L21_V001 has the frames 0 to 9999."
    ]
    assert problems("q-1-kis", [Row("L99_V999", (1,))], videos=VIDEOS) == ["Row 1: “L99_V999” is not in the library."]


def test_the_number_of_events_is_the_questions() -> None:
    assert problems("q-1-trake", [Row("A", (1, 2, 3))], events=4) == ["Row 1: 3 frames where 4 are asked."]


@pytest.mark.parametrize(
    "query", ["", "query-1", "query-1-avs", "query-1-kis.csv", "../x-kis", "a b-kis", "query-1-KIS"]
)
def test_a_file_has_the_name_of_its_query(query: str) -> None:
    with pytest.raises(AnswerError, match="organisers' name"):
        task_of(query)


def test_hand_written_files_are_read() -> None:
    data = '\ufeffL01_V028, 3450, "Năm người"\r\n\r\nL02_V011, 1200, 5\r\n'.encode()
    assert read("query-3-qa", data) == [Row("L01_V028", (3450,), "Năm người"), Row("L02_V011", (1200,), "5")]


@pytest.mark.parametrize(
    ("query", "data", "words"),
    [
        ("q-1-kis", b"video_id,frame_idx\nA,1\n", "header"),
        ("q-1-kis", b"A,1\nA,one\n", "Row 2"),
        ("q-1-kis", b"A,-1\n", "Row 1"),
        ("q-1-kis", "A,١\n".encode(), "Row 1"),
        ("q-1-qa", b"A,1\n", "video, frame, answer"),
        ("q-1-qa", b"A,1,red, very red\n", "video, frame, answer"),
        ("q-1-qa", b'A,1,"red\n', "cannot be read"),
        ("q-1-kis", b"\xff\xfeA\x00", "UTF-8"),
        ("q-1-kis", b"PK\x03\x04", "spreadsheet"),
    ],
)
def test_what_cannot_be_read_is_named(query: str, data: bytes, words: str) -> None:
    with pytest.raises(AnswerError) as caught:
        read(query, data)
    assert words in str(caught.value)


def test_the_zip_has_one_folder() -> None:
    data = pack({"query-2-qa": b"A,1,x\n", "query-1-kis": b"A,1\n"})
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["submission/query-1-kis.csv", "submission/query-2-qa.csv"]
        assert archive.read("submission/query-1-kis.csv") == b"A,1\n"
    assert data == pack({"query-1-kis": b"A,1\n", "query-2-qa": b"A,1,x\n"})
    with pytest.raises(AnswerError):
        pack({"../evil": b""})


def test_hits_become_rows() -> None:
    assert row("L21-V001", [100, 150, 200]) == Row("L21-V001", (100, 150, 200))
    assert row("A", [7], answer=" năm \n người ") == Row("A", (7,), "năm người")


def test_map_keyframes_are_written_in_order_and_read_back() -> None:
    data = write_map(video(), [keyframe("L21_V001", frame) for frame in (90, 0, 41)])
    assert data == b"n,pts_time,fps,frame_idx\n1,0.0,25.0,0\n2,1.64,25.0,41\n3,3.6,25.0,90\n"
    assert read_map(data) == [MapRow(1, 0, 25.0, 0), MapRow(2, 1640, 25.0, 41), MapRow(3, 3600, 25.0, 90)]


def test_a_long_videos_map_loses_no_millisecond() -> None:
    ntsc = video(fps_num=30000, fps_den=1001)
    (row,) = read_map(write_map(ntsc, [keyframe("L21_V001", 499_999)]))
    assert (row.pts_ms, row.fps) == (19_999_960, 30000 / 1001)


@pytest.mark.parametrize(
    "data",
    [b"", b"1,0.0,25.0,0\n", b"n,pts_time,fps,frame_idx\n1,0.0,25.0\n", b"n,pts_time,fps,frame_idx\n1,0,25,x\n"]
    + [b"n,pts_time,fps,frame_idx\n1,0,25,5\n" + line for line in (b"3,1,25,9\n", b"2,1,25,5\n")],
)
def test_what_is_no_map_is_refused(data: bytes) -> None:
    with pytest.raises(AnswerError):
        read_map(data)
