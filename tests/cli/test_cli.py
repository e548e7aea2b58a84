"""The terminal's door, as a person uses it: a process, its words and its exit code."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from khung.cli import ingest
from khung.stores import STAGES, LedgerEntry
from khung.stores.ledger_sqlite import SqliteLedger


@pytest.fixture
def khung(tmp_path, models_dir):
    """Runs `khung …` with a home of its own."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "KHUNG_HOME": str(tmp_path / "home"),
            "KHUNG_MODELS_DIR": str(models_dir),
            "COLUMNS": "200",
        }
        return subprocess.run(
            [sys.executable, "-m", "khung", *arguments], capture_output=True, text=True, env=environment, cwd=tmp_path
        )

    return run


@pytest.mark.parametrize(
    "command", ["", "ingest", "search", "serve", "encode-serve", "status", "doctor", "models", "keys"]
)
def test_help_teaches(khung, command):
    said = khung(*command.split(), "--help")
    assert said.returncode == 0
    assert "Usage" in said.stdout


def test_an_empty_library_says_what_to_do(khung):
    assert "khung ingest" in khung("status").stdout
    answer = khung("search", "một con mèo")
    assert answer.returncode == 2
    assert "khung ingest" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_json_is_for_programs(khung):
    assert json.loads(khung("status", "--json").stdout) == {"snapshot": None, "videos": []}


def test_a_path_that_is_not_there(khung):
    answer = khung("ingest", "nowhere.mp4")
    assert answer.returncode == 2
    assert "There is no nowhere.mp4" in answer.stderr


def test_a_pipeline_that_breaks_off_is_no_good_end(khung, tmp_path, monkeypatch):
    (tmp_path / "dagster.yaml").write_text("no_such_setting: true\n")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    answer = khung("ingest")
    assert answer.returncode == 2
    assert "The pipeline could not run" in answer.stderr and "up to date" not in answer.stdout


def test_a_time_that_is_none(khung):
    answer = khung("search", "x", "--after", "soon")
    assert answer.returncode == 2
    assert "Write 2:05" in answer.stderr


LINES = [
    *(LedgerEntry("good", stage, "done") for stage in STAGES),
    LedgerEntry(
        "good", "playable_copies", "failed", "decoder_timeout", "It took too long. Raise KHUNG_MEDIA_CPU_S_PER_VIDEO_S."
    ),
    LedgerEntry("bad", "videos", "failed", "playlist_refused", "This is a playlist. Upload the video itself."),
    LedgerEntry("long", "videos", "done"),
    LedgerEntry("long", "preview", "done"),
    LedgerEntry("crasher", "shots", "running", attempt=3),
    LedgerEntry("twin", "videos", "linked", detail="The same content as good."),
]


def test_status_tells_state_reason_and_cure_of_every_video(khung, tmp_path):
    SqliteLedger(tmp_path / "home" / "ledger.sqlite").put(LINES)
    said = khung("status").stdout
    assert "playlist_refused This is a playlist. Upload the video itself." in said
    assert "crasher detect 3 runs died with it" in said
    assert "! good copy decoder_timeout It took too long." in said
    assert "The same content as good" in said
    assert all(one in said for one in ("5 videos", "1 done", "1 failed", "1 preview", "1 left", "1 linked"))


def test_status_of_a_large_library_fits_a_terminal_and_tells_first_what_failed(khung, tmp_path):
    twins = [LedgerEntry(f"a{n:04}", "videos", "linked", detail="The same content as good.") for n in range(1000)]
    SqliteLedger(tmp_path / "home" / "ledger.sqlite").put([*twins, *LINES])
    said = khung("status").stdout
    assert len(said.splitlines()) < 420
    assert said.index("playlist_refused") < said.index("The same content as good")
    assert "… and 805 more: name some" in said and "… and 804 more to tell" in said


def test_status_of_some_and_of_those_that_failed(khung, tmp_path):
    SqliteLedger(tmp_path / "home" / "ledger.sqlite").put(LINES)
    failed = json.loads(khung("status", "--failed", "--json").stdout)
    assert {entry["video_id"] for entry in failed["videos"]} == {"bad", "crasher"}
    assert "good" in khung("status", "good").stdout and "bad" not in khung("status", "good").stdout
    unknown = khung("status", "nobody")
    assert unknown.returncode == 1 and "knows no video nobody" in unknown.stderr


@pytest.mark.models
def test_the_doctor_finds_everything_but_videos(khung):
    answer = khung("doctor", "--json")
    findings = {f["what"]: f for f in json.loads(answer.stdout)}
    assert answer.returncode == 0, findings
    assert findings["models"]["state"] == "ok"
    assert findings["library"]["cure"].startswith("khung ingest")


def test_the_doctor_names_the_cure_for_missing_models(tmp_path):
    environment = os.environ | {"KHUNG_HOME": str(tmp_path), "KHUNG_MODELS_DIR": str(tmp_path / "none")}
    answer = subprocess.run([sys.executable, "-m", "khung", "doctor"], capture_output=True, text=True, env=environment)
    assert answer.returncode == 1
    assert "khung models pull" in answer.stdout


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_taken_port_is_told(khung, host):
    import socket

    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as taken:
        taken.bind((host, 0))
        taken.listen()
        answer = khung("serve", "--host", host, "--port", str(taken.getsockname()[1]))
    assert answer.returncode == 2
    assert "--port" in answer.stderr and "already in use" in answer.stderr


def test_the_module_is_the_command(tmp_path: Path):
    assert subprocess.run(
        [sys.executable, "-m", "khung", "version"], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_sealing_alone_counts_the_videos(tmp_path, monkeypatch):
    """Nothing else was left to do, so no earlier stage has named them."""
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    ledger.put([LedgerEntry(name, "embeddings", "done") for name in ("a", "b")])
    ledger.put([LedgerEntry("a", "shard_indices", "done")])
    monkeypatch.setattr(ingest, "_ledger", lambda: ledger)
    display = ingest._display(quiet=True)
    with display as tell:
        tell({"event": "run", "asset": "shard_indices", "partitions": ["03"]})
        assert display._bars.tasks[0].total == 2
        ledger.put([LedgerEntry("b", "shard_indices", "done")])
        tell({"event": "over"})
    assert (display._bars.tasks[0].completed, display._bars.tasks[0].total) == (2, 2)
