"""`khung keys` and the refusal to serve strangers."""

import re

import pytest
from typer.testing import CliRunner

from khung.cli import app
from khung.errors import ConfigError
from khung.settings import settings


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("KHUNG_HOME", str(tmp_path))
    settings.cache_clear()
    yield lambda *words: CliRunner().invoke(app, list(words), terminal_width=200)
    settings.cache_clear()


def test_create_list_revoke(run):
    made = run("keys", "create", "Lan", "--scope", "search", "--scope", "upload", "--days", "30")
    whole = re.search(r"khung_([0-9a-f]{8})_[A-Za-z0-9_-]{43}", made.stdout)
    assert made.exit_code == 0 and whole
    listed = run("keys", "list").stdout
    assert whole[1] in listed and "Lan" in listed and whole[0] not in listed
    assert run("keys", "revoke", whole[1]).exit_code == 0
    assert run("keys", "revoke", "ffffffff").exception


@pytest.mark.parametrize("days", ["nan", "inf", "1e12", "0", "-1"])
def test_a_time_that_no_key_can_last_is_refused(run, days):
    refused = run("keys", "create", "Lan", "--days", days)
    assert refused.exit_code == 2 and not isinstance(refused.exception, ValueError | OverflowError)


def test_an_open_door_to_the_world_is_refused(run):
    refused = run("serve", "--host", "0.0.0.0")
    assert isinstance(refused.exception, ConfigError) and "khung keys create" in refused.exception.cure


@pytest.mark.parametrize(
    ("name", "value", "says"), [("SEARCH_RATE", "many", "rate"), ("SECRET", "short", "too short"), ("KEYS_FILE", __file__, "read")]
)  # fmt: skip
def test_settings_that_are_none_are_told_before_anything_is_opened(run, monkeypatch, name, value, says):
    monkeypatch.setenv(f"KHUNG_SERVE_{name}", value)
    refused = run("serve")
    assert isinstance(refused.exception, ConfigError) and says in str(refused.exception)
