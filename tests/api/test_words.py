"""The interface's words: both languages say everything, and every word that is used exists."""

import re
import string

import pytest

from khung.web.render import HERE
from khung.web.strings import Words, catalogue, choose_language
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
