"""Folders for a moment: gone at the end, and after a death at the next start."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from khung.stores import scratch
from khung.stores.scratch import scratch_folder, sweep

HOLD = """
import sys, time
from khung.stores.scratch import scratch_folder
with scratch_folder("held") as folder:
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(scratch, "GRACE_S", -1.0)
    return tmp_path


def test_it_is_there_in_the_block_and_not_after_it(temporary):
    with pytest.raises(ZeroDivisionError), scratch_folder("x") as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_bytes(b"1")
        assert folder.parent == temporary and sweep(temporary) == []
        raise ZeroDivisionError
    assert not list(temporary.iterdir())


def test_what_a_killed_process_left_goes_and_what_a_living_one_holds_stays(temporary):
    environment = os.environ | {"TMPDIR": str(temporary)}
    held = [
        subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(2)
    ]
    try:
        dead, living = (Path(process.stdout.readline().strip()) for process in held)
        (dead / "left.bin").write_bytes(b"much")
        held[0].send_signal(signal.SIGKILL)
        held[0].wait(60)
        assert sweep(temporary) == [dead.name]
        assert living.is_dir() and not dead.exists()
    finally:
        for process in held:
            process.kill()
            process.communicate()


def test_a_young_folder_and_what_only_looks_alike_stay(temporary, monkeypatch):
    young = temporary / f"{scratch.PREFIX}young"
    young.mkdir()
    (temporary / f"{scratch.PREFIX}file").write_bytes(b"no folder")
    (temporary / f"{scratch.PREFIX}link").symlink_to(temporary)
    monkeypatch.setattr(scratch, "GRACE_S", 3600.0)
    assert sweep(temporary) == []
    os.utime(young, (time.time() - 7200,) * 2)
    assert sweep(temporary) == [young.name]
    assert len(list(temporary.iterdir())) == 2
