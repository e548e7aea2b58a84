"""Judged topics as files."""

from pathlib import Path

import pytest

from khung.errors import ConfigError
from khung.search.query import parse
from khung.search.topics import Moment, frames_of, kind_of, read_topics

REPO = Path(__file__).parents[2]


def write(folder: Path, topics: str, judged: str) -> Path:
    (folder / "t.tsv").write_text(topics, encoding="utf-8")
    (folder / "t.qrels").write_text(judged, encoding="utf-8")
    return folder / "t.tsv"


def test_topics_and_judgements_are_read(tmp_path):
    path = write(
        tmp_path,
        "# remark\n1\t-\tcon chó\n2\tmine\ta dog\n3\t-\tnobody judged this\n",
        "1 0 sea/30 2\n1 0 street@1000-2000 1\n2 0 sea/30 0\n2 0 sea/31 1\n",
    )
    first, second = read_topics(path)
    assert (first.id, first.text, first.kind) == ("1", "con chó", "vi marked")
    assert first.answers == (Moment("sea", 30, gain=2), Moment("street", None, 1000, 2000))
    assert (second.kind, second.answers) == ("mine", (Moment("sea", 31),))


@pytest.mark.parametrize(
    ("topics", "judged", "named"),
    [
        ("1\tcon chó", "1 0 a/1 1", "t.tsv, line 1"),
        ("1\t-\t ", "1 0 a/1 1", "t.tsv, line 1"),
        ("1\t-\tx", "1 0 a 1", "t.qrels, line 1"),
        ("1\t-\tx", "1 0 ../a/1 1", "t.qrels, line 1"),
        ("1\t-\tx", "1 0 a@9-5 1", "t.qrels, line 1"),
        ("1\t-\tx", "1 0 a/1 nan", "t.qrels, line 1"),
        ("1\t-\tx", "\n1 0 a/1", "t.qrels, line 2"),
        ("1\t-\tx\n1\t-\ty", "1 0 a/1 1", "two topics"),
        ("1\t-\tx", "2 0 a/1 1", "no topic 2"),
    ],
)
def test_what_is_no_topic_is_named(tmp_path, topics, judged, named):
    with pytest.raises(ConfigError, match=named):
        read_topics(write(tmp_path, topics, judged))


def test_judgements_that_are_not_there_or_not_text(tmp_path):
    (tmp_path / "t.tsv").write_text("1\t-\tx")
    with pytest.raises(ConfigError, match=r"t\.qrels"):
        read_topics(tmp_path / "t.tsv")
    (tmp_path / "t.qrels").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"t\.qrels"):
        read_topics(tmp_path / "t.tsv")


def test_a_topic_of_json_lines_is_both(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"text": "a dog", "video": "sea", "from_ms": 0, "to_ms": 9}\n')
    (topic,) = read_topics(tmp_path / "t.jsonl")
    assert (topic.kind, topic.answers) == ("en", (Moment("sea", None, 0, 9),))


def test_moments_become_the_frames_of_a_snapshot(street, tmp_path):
    path = write(
        tmp_path,
        "1\t-\tx",
        "1 0 street@10000-20001 1\n1 0 street@20000-20001 3\n1 0 kitchen/0 2\n1 0 gone@0-9 1\n1 0 kitchen/1 1\n",
    )
    (topic,) = read_topics(path)
    assert frames_of(topic, street.records.timeline()) == {"street/250": 1, "street/500": 3, "kitchen/0": 2}
    assert topic.videos == {"street", "kitchen", "gone"}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("con chó trên biển", "vi marked"),
        ("con cho tren bien", "vi unmarked"),
        ("a dog on the beach", "en"),
        ("con chó sau 2 phút", "temporal"),
        ('biển hiệu "PHỞ"', "OCR"),
        ("con chó rồi con mèo", "sequence"),
        ("bãi biển không có người", "negation"),
    ],
)
def test_the_class_is_read_from_the_question(text, kind):
    assert kind_of(parse(text)) == kind


def test_the_moments_of_the_clips_are_judged_topics():
    topics = read_topics(REPO / "bench" / "data" / "moments.tsv")
    assert len(topics) == 252
    assert {t.kind for t in topics} == {"vi marked", "vi unmarked", "en"}
    assert {"googlework_short", "nasa_13013", "cockatoo_cc0"} <= {video for t in topics for video in t.videos}


def test_the_questions_of_the_other_classes_are_judged_and_understood_as_such():
    topics = read_topics(REPO / "bench" / "data" / "questions.tsv")
    assert {t.kind for t in topics} == {"sequence", "OCR", "temporal", "negation"}
    assert [t.text for t in topics if kind_of(parse(t.text)) != t.kind] == []
    moments = {answer for t in read_topics(REPO / "bench" / "data" / "moments.tsv") for answer in t.answers}
    assert [t.id for t in topics if not set(t.answers) <= moments] == [], "each answer is a moment that was judged"
