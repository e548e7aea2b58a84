"""kill -9 in the middle of publishing, with readers that verify every byte they see. KHUNG_TEST_KILLS says how often (200 in the long form)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from khung.shards.snapshot import Snapshot, collect, current, history

SCRIPT = Path(__file__).parent.parent / "support" / "killed_publishers.py"
KILLS = int(os.environ.get("KHUNG_TEST_KILLS", "24"))


def start(role: str, shelf: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, SCRIPT, role, shelf, *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.timeout(3600)
def test_nobody_ever_sees_half_a_snapshot(tmp_path: Path) -> None:
    readers = [start("read", tmp_path) for _ in range(2)]
    with start("publish", tmp_path, str(KILLS)) as publisher:
        out, _ = publisher.communicate()
    assert publisher.returncode == 0
    done = json.loads(out)
    seen = [json.loads(reader.communicate("stop\n")[0]) for reader in readers]
    print(done, seen)
    assert done["killed"] == KILLS, "a publisher ended by itself"
    assert done["generation"] >= KILLS / 2, "too few publications for the kills to mean anything"
    for reader in seen:
        assert reader["torn"] == []
        assert reader["backward"] == 0
        assert reader["reads"] >= 10 * KILLS and reader["whole"] > 0
        assert reader["generations"] > 1

    moves = history(tmp_path)
    assert [m.version for m in moves] == list(range(1, len(moves) + 1))[-1000:]
    left = collect(tmp_path, keep=1, min_age_s=-1)
    assert left.aside, "some publisher must have been killed while it wrote"
    assert len(list((tmp_path / "shards").iterdir())) == 2
    assert list((tmp_path / ".aside").iterdir()) == []
    with Snapshot.open(tmp_path, str(current(tmp_path))) as snapshot:
        assert len(snapshot.records) == 6
