"""What people do wrong, and that the terminal says what it was and what helps, without a traceback."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from awkward_files import clip
from patience import until


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    """The environment of a khung and a Dagster with homes of their own."""
    (tmp_path / "dagster").mkdir()
    (tmp_path / "dagster" / "dagster.yaml").touch()
    homes = {"KHUNG_HOME": str(tmp_path / "home"), "DAGSTER_HOME": str(tmp_path / "dagster")}
    return os.environ | homes | {"COLUMNS": "200"}


@pytest.fixture
def khung(tmp_path: Path, places: dict[str, str]):
    """Runs `khung …` with what else is set."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "khung", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=places | variables, cwd=tmp_path)

    return run


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("KHUNG_PROFILE", "quantum", "'embedded', 'cpu' or 'gpu'"),
        ("KHUNG_PORT", "99999", "65535"),
        ("KHUNG_SERVE_WORKERS", "0", "greater than or equal to 1"),  # of a group of its own
        ("KHUNG_PUBLIC_URL", "video.example.org", "https?://"),
    ],
)
def test_a_setting_that_cannot_be_is_named(khung, variable, value, said):
    answer = khung("status", **{variable: value})
    assert answer.returncode == 2
    assert f"{variable} cannot be “{value}”" in answer.stderr and said in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_list_that_is_no_json(khung):
    answer = khung("status", KHUNG_DESCRIBER_SERVERS="http://a")
    assert answer.returncode == 2 and '["http://a"]' in answer.stderr


def test_a_mistyped_name_is_found_by_the_doctor(khung):
    assert "nothing reads KHUNG_PROFIEL" in khung("doctor", KHUNG_PROFIEL="gpu").stdout
    assert "nothing reads" not in khung("doctor", KHUNG_TEST_CLIPS="x", KHUNG_SERVE_KEYS="auto").stdout


@pytest.mark.parametrize("command", [["status"], ["ingest"], ["serve", "--port", "8199"]])
def test_a_home_that_is_a_file(khung, tmp_path, command):
    (tmp_path / "letter").write_text("no folder")
    answer = khung(*command, KHUNG_HOME=str(tmp_path / "letter"))
    assert answer.returncode == 1
    assert "A folder was expected there" in answer.stderr and "letter" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_folder_without_a_video(khung, tmp_path):
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "letter.txt").write_text("no film")
    answer = khung("ingest", "papers")
    assert answer.returncode == 0
    assert "There is no video in" in answer.stderr and "papers" in answer.stderr


def test_a_stage_that_could_not_run_has_no_tick(khung, tmp_path):
    clip(tmp_path / "clip.mp4", frames=20)
    answer = khung("ingest", "clip.mp4", KHUNG_MODELS_DIR=str(tmp_path / "nowhere"))
    assert answer.returncode == 2 and "khung models pull" in " ".join(answer.stderr.split())
    probing, *_, decoding = [line for line in answer.stderr.splitlines() if "probing" in line or "decoding" in line]
    assert "✓" in probing
    assert "✓" not in decoding and "broke off" in decoding


def test_a_port_that_no_machine_has(khung):
    answer = khung("serve", "--port", "99999")
    assert answer.returncode == 2 and "Traceback" not in answer.stderr


def test_a_span_that_ends_before_it_begins(khung):
    answer = khung("search", "xe", "--after", "2:00", "--before", "1:00")
    assert answer.returncode == 2 and "--after" in answer.stderr


def test_one_stopped_by_hand_says_that_nothing_is_lost(tmp_path, places):
    (tmp_path / "clip.mp4").write_bytes(b"\0" * 1000)
    process = subprocess.Popen(
        [sys.executable, "-m", "khung", "ingest", "clip.mp4"],
        stderr=subprocess.PIPE,
        text=True,
        env=places,
        cwd=tmp_path,
        preexec_fn=ears_open,
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    until(children.read_text, "the kitchen is started")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to both
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "What is done is kept" in said and "Traceback" not in said


def ears_open() -> None:
    """A group of its own, which heeds Ctrl-C even where whoever runs the tests does not."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
