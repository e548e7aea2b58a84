"""A part whose files do not belong together is refused when it is opened, not in the middle of a search."""

import numpy as np
import pytest
from sample_frames import make_records, make_shots, make_video

from khung.errors import CorruptError
from khung.stores.records_duckdb import DuckRecords, write_part
from khung.stores.records_part import OFFSETS, RECORDS


@pytest.fixture
def folder(tmp_path):
    write_part(tmp_path, [make_video("a", 5)], make_shots("a", 5), make_records("a", 5))
    return tmp_path


def test_a_record_less_than_rows(folder):
    offsets = np.load(folder / OFFSETS)
    np.save(folder / OFFSETS, offsets[:-1])
    (folder / RECORDS).write_bytes((folder / RECORDS).read_bytes()[: offsets[-2]])
    with pytest.raises(CorruptError, match="as many rows"):
        DuckRecords([folder])


def test_records_that_were_cut_off(folder):
    (folder / RECORDS).write_bytes((folder / RECORDS).read_bytes()[:-1])
    with pytest.raises(CorruptError, match="not as long"):
        DuckRecords([folder])
