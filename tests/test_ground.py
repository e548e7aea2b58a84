"""The ground floor: times, identities, errors."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khung.errors import KhungError, MediaError, QueryError
from khung.records import check_video_id, frame_id, vector_id
from khung.settings import Settings
from khung.timecode import format_ms, parse_ms


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2:05.75", 125_750),
        ("1:02:05", 3_725_000),
        ("125.75", 125_750),
        ("90s", 90_000),
        ("0:00", 0),
        ("1:30,5", 90_500),
    ],
)
def test_times_are_read(text, ms):
    assert parse_ms(text) == ms


@pytest.mark.parametrize("text", ["", "2:60", "1:60:00", "-1", "1e309", "99:99", "NaN", "2:05:", "1:2:3:4"])
def test_a_time_that_is_none_says_how_to_write_one(text):
    with pytest.raises(QueryError, match="Write 2:05"):
        parse_ms(text)


@given(st.integers(min_value=0, max_value=100 * 3600 * 1000))
def test_a_time_reads_back_as_it_was_written(ms):
    assert parse_ms(format_ms(ms)) == ms


@given(st.text(max_size=30), st.integers(min_value=0, max_value=10**7))
def test_a_vector_id_fits_a_signed_64_bit_integer(video_id, frame_index):
    assert 0 <= vector_id(frame_id(video_id, frame_index)) < 2**63


def test_vector_ids_never_change():
    assert vector_id("L21_V001/3144") == 4_651_593_114_394_012_834


@pytest.mark.parametrize("bad", ["", "a b", "../x", "a\n", "é", "a" * 121, "a/b"])
def test_an_id_that_cannot_be_a_folder_or_a_partition_is_refused(bad):
    with pytest.raises(MediaError) as caught:
        check_video_id(bad)
    assert caught.value.reason == "bad_name"


def test_an_error_tells_its_cure():
    assert str(KhungError("The shelf is empty.", cure="Run it.")) == "The shelf is empty. Run it."


def test_light_doors_stay_light():
    """Importing what the API and the definitions load must not bring in the heavy libraries."""
    heavy = "torch cv2 av transformers faiss openvino tantivy duckdb pyarrow"
    code = f"import sys, khung.cli, khung.records, khung.stores, khung.vision, khung.settings; print([m for m in {heavy!r}.split() if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"


def test_people_are_sent_to_an_address_that_they_can_reach():
    assert Settings().site == "http://127.0.0.1:8000"
    assert Settings(host="0.0.0.0", port=80).site == "http://127.0.0.1:80"
    assert Settings(public_url="https://video.example.org/").site == "https://video.example.org"
    with pytest.raises(ValueError, match="public_url"):
        Settings(public_url="video.example.org")
