"""A decoder may crash, hang, eat memory or disk and try to call home: the parent goes on and says what happened."""

import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

from khung.errors import MediaError, Outage
from khung.video.sandbox import ChildLimits, run

SMALL = ChildLimits(memory_bytes=2**30, cpu_s=5, wall_s=20, file_bytes=2**20, stall_s=20)


@pytest.fixture(autouse=True)
def tasks_on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def failure(task: str, request: dict | None = None, limits: ChildLimits = SMALL) -> MediaError:
    with pytest.raises(MediaError) as caught:
        run(f"sandbox_tasks:{task}", request or {}, limits)
    return caught.value


def test_answers_and_reports_progress():
    told = []
    answer = run("sandbox_tasks:echo", {"text": "xin chào"}, SMALL, told.append)
    assert answer["heard"] == {"text": "xin chào"}
    assert told == [{"frames": 1}]


def test_the_tasks_own_refusal_arrives_whole():
    error = failure("refuse")
    assert (error.reason, error.message, error.cure) == ("no_frames", "Nothing.", "Try another.")


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ("segfault", "decoder_crashed"),
        ("vanish", "decoder_crashed"),
        ("allocate", "decoder_memory"),
        ("allocate_in_opencv", "decoder_memory"),
        ("flood", "decoder_crashed"),
        ("babble", "decoder_crashed"),
    ],
)
def test_a_child_that_dies_is_named(task, reason):
    assert failure(task).reason == reason


def test_an_answer_counts_even_if_the_decoder_crashes_on_leaving():
    assert run("sandbox_tasks:crash_on_leaving", {}, SMALL)["kept"]


def test_a_silent_child_is_stopped():
    start = time.monotonic()
    assert failure("hang", limits=ChildLimits(wall_s=60, stall_s=1)).reason == "decoder_timeout"
    assert time.monotonic() - start < 30


def test_a_busy_child_is_stopped_by_wall_time():
    assert failure("chatter_forever", limits=ChildLimits(wall_s=2)).reason == "decoder_timeout"


def test_a_burning_child_is_stopped_by_cpu_time():
    assert failure("burn", limits=ChildLimits(cpu_s=1, wall_s=120)).reason == "decoder_timeout"


def test_a_child_cannot_fill_the_disk(tmp_path):
    target = tmp_path / "big"
    assert failure("fill_disk", {"path": str(target)}).reason == "decoder_output"
    assert target.stat().st_size <= SMALL.file_bytes


def test_a_full_disk_is_not_the_video_s_fault():
    with pytest.raises(Outage, match="No space left") as told:
        run("sandbox_tasks:find_no_room", {}, SMALL)
    assert "TMPDIR" in told.value.cure


def kernel_allows_a_network_of_ones_own():
    """As util-linux finds, not as the child says: one that has stopped to ask for it must not pass for a kernel that forbids it."""
    ways = (["--user", "--net"], ["--net"])
    return any(subprocess.run(["unshare", *way, "true"], capture_output=True).returncode == 0 for way in ways)


def test_a_child_cannot_reach_a_server_of_this_machine():
    network = run("sandbox_tasks:echo", {}, SMALL)["network"]
    if network == "shared":
        assert not kernel_allows_a_network_of_ones_own(), "the child could have had one"
        pytest.skip("this kernel forbids unprivileged network namespaces; the protocol whitelist remains")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(1)
        assert failure("call_home", {"port": server.getsockname()[1]}).reason == "decoder_crashed"
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_child_sees_none_of_our_secrets(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do not tell")
    assert "AWS_SECRET_ACCESS_KEY" not in run("sandbox_tasks:environment", {}, SMALL)["names"]


def test_nothing_of_the_childs_group_lives_on():
    pid = run("sandbox_tasks:leave_a_child", {}, SMALL)["pid"]
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        if "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text():
            break  # killed, waiting for whoever adopts it
        time.sleep(0.05)
    else:
        assert not Path(f"/proc/{pid}").exists()


def test_no_file_stays_open(tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        run("sandbox_tasks:echo", {}, SMALL)
    assert len(os.listdir("/proc/self/fd")) == before
