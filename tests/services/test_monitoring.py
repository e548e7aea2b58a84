"""Alert rules and dashboard ask for nothing that /metrics does not have, and speak of routes that there are."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from fastapi.testclient import TestClient

from khung.api.app import create_app
from khung.settings import Settings
from tests.support.small_home import ColourEmbedder

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
RULES = yaml.safe_load((DEPLOY / "prometheus" / "khung.rules.yml").read_text())["groups"][0]["rules"]
BOARD = json.loads((DEPLOY / "grafana" / "khung.json").read_text())
FAMILY = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_count", "_sum"]}
WORDS = {"and", "or", "unless", "by", "on", "ignoring", "without", "group_left", "group_right", "bool", "offset", "le"}


def expressions() -> Iterator[tuple[str, str]]:
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in BOARD["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


EXPRESSIONS = list(expressions())


def metrics_of(expr: str) -> set[str]:
    """The names of time series in a PromQL expression: what is neither label, function, grouping nor keyword."""
    plain = re.sub(r'"[^"]*"', "", expr)
    plain = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", plain)
    plain = re.sub(r"\b(by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)", " ", plain)
    names = re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?!\w*\s*\()", plain)
    functions = re.findall(r"([a-zA-Z_]\w*)\s*\(", plain)
    return {name for name in names if name not in WORDS and name not in functions}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[set[str], set[str]]:
    """The series that a real /metrics promises, and the routes of the real application."""
    settings = Settings(home=tmp_path_factory.mktemp("home"), _env_file=None)
    app = create_app(settings, embedder=ColourEmbedder())
    with TestClient(app) as client:
        text = client.get("/metrics").text
    kinds = dict(re.findall(r"^# TYPE (\S+) (\w+)$", text, re.MULTILINE))
    series = {name if name.endswith(end) else name + end for name, kind in kinds.items() for end in FAMILY[kind]}
    routes = {path for path in app.openapi()["paths"]} | {"/health", "/ready", "/metrics", "unmatched"}
    return series, routes


@pytest.mark.parametrize(("where", "expr"), EXPRESSIONS, ids=[where for where, _ in EXPRESSIONS])
def test_only_what_there_is_is_asked_for(served, where, expr):
    series, routes = served
    asked = metrics_of(expr) - {"up"}  # Prometheus's own
    assert asked <= series, asked - series
    assert asked or "up" in expr
    assert set(re.findall(r'route!?="([^"]*)"', expr)) <= routes


def test_the_series_are_told_from_the_words_around_them():
    expr = 'sum by (le, x) (rate(a_bucket{job="b"}[5m])) / on () group_left c_total > 0.1 unless on (instance) d == 1'
    assert metrics_of(expr) == {"a_bucket", "c_total", "d"}


def test_every_alert_says_what_helps():
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names)
    for rule in RULES:
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"] and rule["annotations"]["cure"]


def test_the_dashboard_holds_together():
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    assert [variable["name"] for variable in BOARD["templating"]["list"]] == ["source"]
    for panel in BOARD["panels"]:
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${source}"}
