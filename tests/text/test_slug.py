"""Names from strangers become ids."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khung.text.slug import video_id_of

ID = re.compile(r"^[A-Za-z0-9_-]{1,120}$")


@pytest.mark.parametrize(
    "name,want",
    [
        ("L21_V001.mp4", "L21_V001"),
        ("Phố cổ Hà Nội (2).mp4", "Pho_co_Ha_Noi_2"),
        ("../../etc/passwd", "passwd"),
        (r"..\..\windows\a b.avi", "a_b"),
        ('it\'s "quoted".mov', "it_s_quoted"),
        ("Đường Ðại lộ.mkv", "Duong_Dai_lo"),
        ("tập 1.5", "tap_1_5"),
        ("-rf.mp4", "rf"),
        ("nul\x00byte\n.mp4", "nul_byte"),
    ],
)
def test_readable_names_stay_readable(name, want):
    assert video_id_of(name) == want


@pytest.mark.parametrize("name", ["", ".", "..", "/", "😀.mp4", "視頻.mp4", "___", "\ud800.mp4"])
def test_a_name_without_letters_gets_a_stable_hash(name):
    assert re.fullmatch(r"video-[0-9a-f]{8}", video_id_of(name))
    assert video_id_of(name) == video_id_of(name)


def test_long_names_that_differ_late_stay_apart():
    a, b = "x" * 200 + "a.mp4", "x" * 200 + "b.mp4"
    assert video_id_of(a) != video_id_of(b)


@given(st.text(max_size=300))
def test_every_name_gives_an_id(name):
    assert ID.match(video_id_of(name))
