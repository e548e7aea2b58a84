"""`khung models` with large models: listed, pulled from a hub, checked, and what the doctor says of those that are chosen."""

import json
import os
import subprocess
import sys

import pytest

from khung.vision.files import FILES
from tests.vision.test_cards import COMMIT, Hub


@pytest.fixture
def khung(tmp_path):
    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        own = {"KHUNG_HOME": str(tmp_path / "home"), "COLUMNS": "80", "NO_PROXY": "127.0.0.1"} | environment
        return subprocess.run(
            [sys.executable, "-m", "khung", *arguments],
            capture_output=True,
            text=True,
            env=os.environ | own,
            cwd=tmp_path,
        )

    return run


@pytest.fixture
def hub():
    import threading

    server = Hub()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_the_list_names_every_card_whole_in_80_columns(khung):
    said = khung("models", "list", KHUNG_PROFILE="gpu").stdout
    for file in FILES.values():
        assert file.name in said and file.source.removeprefix("https://")[:40] in said
    assert "→ gme-2b" in said and "→ qwen3-vl-4b" in said and "→ siglip2-base" in said
    assert "  gme-7b                3584 dim  15.5/7.4 Apache-2.0 477027a6 missing" in said


def test_for_programs(khung):
    large = json.loads(khung("models", "list", "--json").stdout)["large"]
    (gme,) = (one for one in large if one["card"]["name"] == "gme-7b")
    assert gme["card"]["dim"] == 3584 and gme["state"] == "missing"
    assert gme["memory_bytes"]["bfloat16"] == 2 * gme["card"]["parameters"]


@pytest.mark.torch
def test_pulled_checked_and_found_broken(khung, hub, tmp_path):
    pulled = khung("models", "pull", "siglip2-base", HF_ENDPOINT=hub.url)
    assert pulled.returncode == 0, pulled.stderr
    assert COMMIT in pulled.stdout.replace("\n", "")
    checked = khung("models", "check", "siglip2-base")
    assert checked.returncode == 0 and COMMIT in checked.stdout
    weights = tmp_path / "home" / "models" / "siglip2-base" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    broken = khung("models", "check", "siglip2-base")
    assert broken.returncode == 1
    assert "wrong checksum" in broken.stdout and "khung models pull siglip2-base" in broken.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["pull", "clip"], "There is no model clip"),
        (["pull", "gme-2b", "gme-7b", "--revision", "abc"], "A revision belongs to one"),
        (["check", "clip"], "There is no model clip"),
    ],
)
def test_wrong_calls(khung, arguments, told):
    answer = khung("models", *arguments)
    assert answer.returncode == 2
    assert told in answer.stderr and "Traceback" not in answer.stderr


def test_a_hub_that_cannot_be_reached_says_what_to_do(khung):
    answer = khung("models", "pull", "siglip2-base", HF_ENDPOINT="http://127.0.0.1:9")
    assert answer.returncode == 1
    words = " ".join(answer.stderr.split())
    assert "HF_ENDPOINT" in words and "`khung models pull siglip2-base` again" in words


def test_the_doctor_asks_for_the_models_that_are_chosen(khung):
    findings = json.loads(khung("doctor", "--json", KHUNG_PROFILE="gpu").stdout)
    (large,) = (one for one in findings if one["what"] == "large models")
    assert large["state"] == "missing"
    assert large["cure"] == "khung models pull gme-2b qwen3-vl-4b siglip2-base"
    assert not [one for one in json.loads(khung("doctor", "--json").stdout) if one["what"] == "large models"]
