"""kill -9 in the middle of publishing: two publishers at a time, readers that verify every byte they see.

KHUNG_TEST_KILLS and KHUNG_TEST_READS say how often; both are reached whatever the machine is busy with.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from khung.shards.garbage import collect
from khung.shards.snapshot import Snapshot, current, history

SCRIPT = Path(__file__).parent.parent / "support" / "killed_publishers.py"
KILLS = int(os.environ.get("KHUNG_TEST_KILLS", "200"))
READS = int(os.environ.get("KHUNG_TEST_READS", "100000"))
PUBLISHERS = READERS = 2


def start(role: str, shelf: Path, *more: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, SCRIPT, role, shelf, *map(str, more)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.timeout(3600)
def test_nobody_ever_sees_half_a_snapshot(tmp_path: Path) -> None:
    shelf, marks = tmp_path / "shelf", tmp_path / "marks"
    for folder in (shelf, marks):
        folder.mkdir()
    readers = [start("read", shelf, READS // READERS, marks / str(n)) for n in range(READERS)]
    publishers = [start("publish", shelf, KILLS // PUBLISHERS, marks, READERS) for _ in range(PUBLISHERS)]
    done = [json.loads(publisher.communicate()[0]) for publisher in publishers]
    seen = [json.loads(reader.communicate("stop\n")[0]) for reader in readers]
    print(done, seen)
    assert [publisher.returncode for publisher in publishers] == [0] * PUBLISHERS
    assert sum(one["killed"] for one in done) >= KILLS
    assert all(one["killed"] == one["turns"] for one in done), "a publisher ended by itself"
    assert max(one["generation"] for one in done) >= KILLS / 4, "too few publications for the kills to mean anything"
    assert [reader["torn"] for reader in seen] == [[]] * READERS
    assert [reader["backward"] for reader in seen] == [0] * READERS
    assert sum(reader["reads"] for reader in seen) >= READS
    assert all(reader["whole"] > 0 and reader["generations"] > 1 for reader in seen)
    check_what_is_left(shelf)


def check_what_is_left(shelf: Path) -> None:
    """The collector finds what the dead left, and nothing else is amiss."""
    moves = history(shelf)
    assert [m.version for m in moves] == list(range(1, moves[-1].version + 1))[-1000:]
    left = collect(shelf, keep=1, min_age_s=-1)
    assert left.aside, "some publisher must have been killed while it wrote"
    assert len(list((shelf / "shards").iterdir())) == 2
    assert list((shelf / ".aside").iterdir()) == []
    with Snapshot.open(shelf, str(current(shelf))) as snapshot:
        assert len(snapshot.records) == 6
