"""Byte ranges: RFC 9110 §14, its examples and its edges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khung.api.ranges import Unsatisfiable, parse_range


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("", None),
        ("bytes=0-499", (0, 500)),
        ("bytes=500-999", (500, 1000)),
        ("bytes=-500", (9500, 10000)),
        ("bytes=9500-", (9500, 10000)),
        ("bytes=0-0", (0, 1)),
        ("bytes=9999-20000", (9999, 10000)),
        ("bytes=-20000", (0, 10000)),
        ("BYTES=1-2", (1, 3)),
        ("bytes=5-4", None),  # not valid: ignored
        ("bytes=-", None),
        ("bytes=" + "9" * 5000 + "-", None),
        ("bytes=0-" + "9" * 5000, None),
        ("bytes=٣-", None),
        ("bytes=a-b", None),
        ("items=0-5", None),
        ("bytes=0-1,5-6", None),  # several ranges may be ignored
    ],
)
def test_ranges(header, expected):
    assert parse_range(header, 10_000) == expected


@pytest.mark.parametrize("header", ["bytes=10000-", "bytes=10000-10001", "bytes=-0"])
def test_outside(header):
    with pytest.raises(Unsatisfiable):
        parse_range(header, 10_000)


def test_nothing_of_an_empty_file():
    with pytest.raises(Unsatisfiable):
        parse_range("bytes=-5", 0)


@given(st.text(max_size=30), st.integers(0, 2**40))
def test_any_header_gives_a_range_inside_the_file(header, size):
    try:
        found = parse_range("bytes=" + header, size)
    except Unsatisfiable:
        return
    assert found is None or 0 <= found[0] < found[1] <= size
