"""Records survive Parquet and JSON unchanged; files with another schema are refused."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khung.errors import CorruptError
from khung.records import Description, FrameRecord, Keyframe, Region, Shot, TextLine, Video
from khung.stores import tables
from khung.stores.library import FrameNotes

text = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
number = st.floats(allow_nan=False, allow_infinity=False)
int64 = st.integers(-(2**63), 2**63 - 1)


def values(hint: object) -> st.SearchStrategy:
    """A strategy for a field's type, so that a new field of a record is tested without a new line here."""
    if dataclasses.is_dataclass(hint):
        return records(hint)
    return st.from_type(hint)


st.register_type_strategy(str, text)
st.register_type_strategy(float, number)
st.register_type_strategy(int, int64)
st.register_type_strategy(
    Mapping, lambda hint: st.dictionaries(*(values(a) for a in hint.__args__), max_size=3).map(MappingProxyType)
)


def records(cls: type) -> st.SearchStrategy:
    hints = tables._hints(cls)
    unsigned = {name: st.integers(0, 2**64 - 1) for name in tables.UNSIGNED & hints.keys()}
    return st.builds(cls, **{name: values(hint) for name, hint in hints.items()} | unsigned)


@pytest.mark.parametrize("cls", [Video, Shot, Keyframe, FrameRecord, FrameNotes])
def test_any_record_survives_parquet_and_json(cls: type) -> None:
    @settings(max_examples=25, deadline=None)
    @given(st.lists(records(cls), max_size=4))
    def check(rows: list) -> None:
        assert tables.from_parquet(tables.to_parquet(rows, cls), cls) == rows
        for row in rows:
            assert tables.from_json(tables.to_json(row), cls) == row

    check()


def test_equal_records_give_equal_json() -> None:
    one = Description(captions={"vi": "một", "en": "one"})
    two = Description(captions={"en": "one", "vi": "một"})
    assert tables.to_json(one) == tables.to_json(two)


def test_an_empty_table_keeps_its_schema() -> None:
    data = tables.to_parquet([], FrameRecord)
    assert tables.from_parquet(data, FrameRecord) == []
    with pytest.raises(CorruptError, match=r"Unknown column Shot\.keyframe"):
        tables.from_parquet(data, Shot)


def test_read_records_cannot_be_changed() -> None:
    (record,) = tables.from_parquet(tables.to_parquet([Description(captions={"vi": "a"})], Description), Description)
    with pytest.raises(TypeError):
        record.captions["vi"] = "b"


def parquet(columns: dict) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue().to_pybytes()


def test_a_missing_column_with_a_default_takes_it() -> None:
    box = pa.array([[0.0, 0.0, 1.0, 1.0]], pa.list_(pa.float64(), 4))
    line = {"text": ["a"], "score": [1.0], "box": box}
    assert tables.from_parquet(parquet(line), TextLine) == [TextLine("a", 1.0, (0.0, 0.0, 1.0, 1.0))]
    with pytest.raises(CorruptError, match="box"):
        tables.from_parquet(parquet({"text": ["a"], "score": [1.0]}), TextLine)
    assert tables.from_json(b'{"captions": {"vi": "a"}}', Description) == Description(captions={"vi": "a"})


@pytest.mark.parametrize(
    "columns",
    [{"label": [1], "score": [1.0]}, {"label": ["a"], "score": [1.0], "extra": [1]}, {"label": ["a"], "score": [1]}],
)
def test_another_schema_is_refused(columns: dict) -> None:
    with pytest.raises(CorruptError):
        tables.from_parquet(parquet(columns), Region)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"label": 3}', b'{"nope": 1}', b"null"])
def test_damaged_json_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptError):
        tables.from_json(data, Region)


def test_every_truncation_of_a_parquet_file_is_refused() -> None:
    data = tables.to_parquet([Shot("v", i, i, i + 1, i, i + 1) for i in range(20)], Shot)
    for length in range(0, len(data), 97):
        with pytest.raises(CorruptError):
            tables.from_parquet(data[:length], Shot)
