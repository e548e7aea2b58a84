"""The interface's words: both languages say everything, and every word that is used exists."""

import ast
import re
import string
from pathlib import Path

import pytest

import khung
from khung.api.problems import TABLE
from khung.web.render import HERE
from khung.web.strings import Words, catalogue, choose_language, told
from khung.web.values import reason

USED = re.compile(r"""\b(?:t|words)\(\s*["'](\w+)["']""")


def fields(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("key", catalogue())
def test_both_languages_say_the_same(key):
    texts = catalogue()[key]
    assert set(texts) == {"vi", "en"}
    assert all(text.strip() for text in texts.values())
    assert fields(texts["vi"]) == fields(texts["en"])


def test_every_word_that_templates_and_scripts_use_is_there():
    sources = [*HERE.glob("templates/*.html"), *HERE.glob("static/*.js")]
    used = {key for source in sources for key in USED.findall(source.read_text("utf-8"))}
    assert len(used) > 80
    stems = {key for key in used if key.endswith("_")}  # t("state_" ~ state): the data completes the key
    assert (used - stems) - catalogue().keys() == set()
    assert [stem for stem in stems if not any(key.startswith(stem) for key in catalogue())] == []


def named_errors():
    """`(code, names of its values)` of every `known_as("code", …)` in khung."""
    for source in Path(khung.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "known_as":
                for code in ast.walk(node.args[0]):
                    if isinstance(code, ast.Constant) and not code.value.endswith("_"):
                        yield code.value, frozenset(keyword.arg for keyword in node.keywords)


@pytest.mark.parametrize(("code", "values"), sorted(set(named_errors()), key=str))
def test_every_named_error_has_vietnamese_words(code, values):
    text = catalogue()[code]["vi"] if code.startswith("field_") else told()[code]
    assert fields(text) <= values


def test_there_are_no_words_for_errors_that_never_arise():
    codes = {code for code, _ in named_errors()} | {f"dres_{status}" for status in (400, 403, 404, 412)}
    named = {code for code in codes if not code.startswith("field_")}  # these are in strings.json, in both languages
    assert {key for key in told() if not key.startswith(("kind_", "reason_"))} == named


def test_every_kind_of_problem_has_a_title_and_vietnamese_words():
    titles = {title for _, _, title in TABLE} | {
        "Request refused",
        "Content Too Large",
        "Method Not Allowed",
        "Misdirected Request",
        "Forbidden",
    }
    kinds = {title.lower().replace(" ", "_").replace("-", "_") for title in titles}
    assert {f"problem_{kind}" for kind in kinds} <= catalogue().keys()
    assert {key.removeprefix("kind_") for key in told() if key.startswith("kind_")} == kinds


def test_an_error_is_said_by_its_code_else_by_its_kind():
    vi, en = Words("vi"), Words("en")
    frame = {"frame": "L21_V001/42"}
    assert "L21_V001/42" in vi.told("no_frame", "not_found", frame, "There is none.")
    assert vi.told("", "not_found", {}, "There is none.").startswith("Địa chỉ này")
    assert vi.told("reason_empty_file", "media_refused", {}, "Empty.") == "Tệp rỗng. Hãy gửi lại."
    assert vi.told("", "tea", {}, "Tea.") == "Tea."
    long = {"where": "q", "most": "1000"}
    assert vi.told("field_too_long", "request_refused", long, "query.q: …").startswith("Phần “câu hỏi” dài quá 1000")
    assert en.told("field_too_long", "request_refused", long, "query.q: …").startswith(
        "“the question” is longer than 1000"
    )
    assert en.told("no_frame", "not_found", frame, "There is none.") == "There is none."
    assert "told_no_frame" in vi.all() and "told_no_frame" not in en.all()


def test_one_is_not_many():
    assert Words("en")("results_count", frames=2, videos=1) == "2 frames in 1 video"
    assert Words("vi")("results_count", frames=2, videos=1) == "2 khung hình trong 1 video"


def test_an_unknown_word_is_an_error():
    with pytest.raises(KeyError):
        Words("vi")("no_such_word")


@pytest.mark.parametrize(
    ("asked", "kept", "accept", "expected"),
    [
        ("en", "vi", "vi", "en"),
        ("xx", "en", "vi", "en"),
        (None, None, "en-GB,en;q=0.9,vi;q=0.8", "en"),
        (None, None, "fr, vi-VN;q=0.5", "vi"),
        (None, None, "", "vi"),
    ],
)
def test_language(asked, kept, accept, expected):
    assert choose_language(asked, kept, accept) == expected


@pytest.mark.parametrize(
    ("why", "channel", "vi", "en"),
    [
        ("looks like the words", "vector", "giống lời hỏi", "looks like the words"),
        ("looks like the words and what you liked", "vector_fallback", "giống lời hỏi và những khung bạn thích", "looks like the words and what you liked"),
        ("person, no car/bus, day", "facets", "người, không có ô tô/xe buýt, ban ngày", "person, no car/bus, day"),
        ("looks like rain", "text", "looks like rain", "looks like rain"),
        ("", "facets", "", ""),
    ],
)  # fmt: skip
def test_reasons_in_the_language_of_the_page(why, channel, vi, en):
    assert [reason(why, channel, Words(language)) for language in ("vi", "en")] == [vi, en]
