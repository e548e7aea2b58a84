"""What is lit: the asked words in the forms that the search compares, and nothing that only looks like them."""

import pytest

from khung.web.highlight import lit, shows, terms_of


@pytest.mark.parametrize(
    ("asked", "text", "marks"),
    [
        ("người", "Người đi bộ", ["Người"]),
        ("ban", "Bàn và bạn", ["Bàn", "bạn"]),
        ("bàn", "Bàn và bạn", ["Bàn"]),
        ("hoà", "màu hòa bình", ["hòa"]),
        ("đường", "DUONG PHO", ["DUONG"]),
        ("the", "có thể", ["thể"]),
        ("cars", "a car and two bicycles", ["car"]),
        ("person", "persons", ["persons"]),
        ("xe", "<xe> & xế", ["xe", "xế"]),
    ],
)
def test_words_by_their_forms(asked, text, marks):
    shown = str(lit(text, terms_of([asked])))
    assert [part.split("</mark>")[0] for part in shown.split("<mark>")[1:]] == marks
    assert shows(text, terms_of([asked]))


def test_letters_of_another_normal_form_are_the_same_word():
    assert str(lit("Phô\u0301", terms_of(["phố"]))) == "<mark>Phô\u0301</mark>"


def test_everything_is_escaped():
    assert str(lit("<b>a</b> & nhà", terms_of(["nhà"]))) == "&lt;b&gt;a&lt;/b&gt; &amp; <mark>nhà</mark>"
    assert not shows("<b>", terms_of(["nhà"]))
