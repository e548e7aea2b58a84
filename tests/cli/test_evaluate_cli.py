"""`khung evaluate` and `khung fusion` over a real home, as processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_home import build

TOPICS = "1\t-\tbiển đen của Google trên tường\n2\t-\ta white cockatoo on the floor\n3\t-\tvideo that is not here\n"
JUDGED = "1 0 googlework_short@11000-13000 1\n2 0 cockatoo_cc0@0-60000 1\n3 0 nowhere@0-9 1\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory, clips: Path) -> Path:
    folder = tmp_path_factory.mktemp("evaluated")
    build(folder / "home", clips)
    (folder / "t.tsv").write_text(TOPICS, encoding="utf-8")
    (folder / "t.qrels").write_text(JUDGED, encoding="utf-8")
    return folder


def khung(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"KHUNG_HOME": str(home / "home"), "COLUMNS": "200"}
    command = [sys.executable, "-m", "khung", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=home)


def test_two_settings_are_tried_and_compared(home):
    answer = khung(home, "evaluate", "t.tsv", "--against", "rrf", "--page", "out/page.html", "--json")
    assert answer.returncode == 0, answer.stderr
    told = json.loads(answer.stdout)
    assert (told["topics"], told["left_out"], told["without_frame"]) == (2, ["3"], [])
    assert told["figures"]["balanced"]["found@10"] == 1.0
    assert {d["measure"] for d in told["differences"]} == set(told["figures"]["rrf"])
    assert "<svg" in (home / "out" / "page.html").read_text(encoding="utf-8")


def test_the_terminal_names_what_was_missing(home):
    said = khung(home, "evaluate", "t.tsv").stdout
    assert "1 topics ask for videos that are not here" in said
    assert "vector" in said  # nobody here can encode for this home's invented vectors
    assert "vi marked" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("evaluate", "t.tsv", "--preset", "magic"), "magic"),
        (("fusion", "t.tsv", "--to", "f.json"), "too few"),
        (("evaluate", "gone.tsv"), "gone.tsv"),
    ],
)
def test_a_wrong_call_is_told(home, arguments, said):
    answer = khung(home, *arguments)
    assert answer.returncode == 2
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not (home / "f.json").exists()
