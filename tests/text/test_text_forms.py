"""The forms of a word: what must be one word is one key, what must differ differs."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khung.text import clean, compact, english, fields, fold, key, marked, norm, tokens
from khung.text.fields import FIELDS

SAME = [
    ("hoà", "hòa"),
    ("thuỷ", "thủy"),
    ("loà", "lòa"),
    ("khoẻ", "khỏe"),
    ("tuý", "túy"),
    ("kỹ", "kĩ"),
    ("lý", "lí"),
    ("quý", "quí"),
    ("mỹ", "mĩ"),
    ("tỷ", "tỉ"),
    ("Ðại", "đại"),
    ("ðường", "đường"),
    ("ĐƯỜNG", "đường"),
]
DIFFERENT = [("ma", "má"), ("má", "mã"), ("mã", "mạ"), ("tay", "tai"), ("thúy", "thúi"), ("bán", "bàn"), ("dan", "đan")]
LETTERS = "aăâeêioôơuưybcdđghklmnpqrstvx" + "àáảãạằắẳẵặầấẩẫậèéẻẽẹềếểễệìíỉĩịòóỏõọồốổỗộờớởỡợùúủũụừứửữựỳýỷỹỵ"
words = st.text(LETTERS, min_size=1, max_size=8)


@pytest.mark.parametrize("a,b", SAME)
def test_two_spellings_of_a_word_have_one_key_and_one_fold(a, b):
    assert key(a) == key(b)
    assert fold(a) == fold(b)


@pytest.mark.parametrize("a,b", DIFFERENT)
def test_different_words_have_different_keys(a, b):
    assert key(a) != key(b)


def test_keys_as_the_facts_give_them():
    assert [key(w) for w in ("hoà", "thuỷ", "đường", "bơ")] == ["hoa2", "thuy3", "đương2", "bơ"]
    assert [fold(w) for w in ("Đường", "ẩn", "người")] == ["duong", "an", "nguoi"]


@given(words)
def test_key_and_fold_do_not_see_unicode_form_or_case(word):
    for form in ("NFC", "NFD"):
        for variant in (unicodedata.normalize(form, word), unicodedata.normalize(form, word.upper())):
            assert key(variant) == key(word)
            assert fold(variant) == fold(word)


@given(words)
def test_fold_is_ascii_and_idempotent_and_key_refines_it(word):
    assert fold(word).isascii()
    assert fold(fold(word)) == fold(word)
    assert fold(key(word).rstrip("12345")) == fold(word)


@given(st.text(max_size=200))
def test_any_text_is_survived_and_norm_is_idempotent(text):
    assert norm(norm(text)) == norm(text)
    assert clean(clean(text)) == clean(text)
    assert all(t and " " not in t and "_" not in t for t in tokens(text))
    assert all(t.encode() for t in tokens(text))  # no lone surrogate is left
    assert tuple(fields(text, text, text)) == FIELDS


@given(st.text(LETTERS + " ,.", max_size=60))
def test_invisible_characters_change_nothing(text):
    assert tokens("\u200b".join(text)) == tokens(text)
    assert tokens(unicodedata.normalize("NFD", text)) == tokens(text)


def test_marked_sees_tones_and_letters():
    assert [w for w in ("áo", "ao", "đi", "di", "Ơ", "ð") if marked(w)] == ["áo", "đi", "Ơ", "ð"]


@pytest.mark.parametrize(
    "plural,singular",
    [
        ("cars", "car"),
        ("buses", "bus"),
        ("horses", "horse"),
        ("glasses", "glass"),
        ("cities", "city"),
        ("women", "woman"),
        ("people", "person"),
        ("boxes", "box"),
        ("benches", "bench"),
    ],
)
def test_english_plural_and_singular_meet(plural, singular):
    assert english(plural) == english(singular)


def test_english_words_that_only_look_plural_stay():
    assert [english(w) for w in ("bus", "glass", "tennis", "his")] == ["bus", "glass", "tennis", "his"]


def test_fields_of_a_frame():
    got = fields("Áo đỏ, áo đỏ", "Red shirts", "30B-123.45 Phở")
    assert got["vi_key"] == "ao1 đo3 ao1 đo3"
    assert got["vi_fold_sh"] == "ao_do do_ao ao_do"
    assert got["en"] == "red shirt"
    assert got["ocr_fold"] == "30b 123 45 pho 30b12345"
    assert "b12" in got["ocr_ngram"].split()


def test_plates_scores_and_phone_numbers_are_written_together():
    assert compact("xe 51F-123.45 lúc 12:30, gọi 0903-123-456, trước-sau") == ["51f12345", "1230", "0903123456"]
