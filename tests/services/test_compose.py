"""What of deploy/ can be checked without a Docker engine: the compose file is one, its settings are khung's, its commands run.

The same processes are started by hand in test_profile.py. The schema is the Compose Specification's (data/compose-spec.json, from
github.com/compose-spec/compose-spec, Apache-2.0, as check-jsonschema 0.39.0 carries it).
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs
import pytest
import yaml

from khung.api.app import create_app
from khung.api.encoding import create_encoder
from khung.errors import ConfigError
from khung.settings import EmbedderSettings, EncoderSettings, ServeSettings, Settings, StoreSettings, variables
from khung.stores.postgres_backup import archive_settings

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
OURS = ("search", "dagster-webserver", "dagster-daemon", "models", "encoder", "backup")
SECRETS = {
    "KHUNG_STORES_POSTGRES_PASSWORD": "p4ss",
    "KHUNG_STORES_S3_KEY": "key",
    "KHUNG_STORES_S3_SECRET": "s3cret",
}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def filled(value: str) -> str:
    """A value with its variables, as compose fills them in."""
    return re.sub(r"\$\{(\w+):\?[^}]*\}", lambda found: SECRETS[found[1]], value)


def test_it_is_a_compose_file(compose):
    schema = json.loads((Path(__file__).parent / "data" / "compose-spec.json").read_text())
    problems = [
        f"{'/'.join(map(str, e.instance_path))}: {e.message}"
        for e in jsonschema_rs.validator_for(schema).iter_errors(compose)
    ]
    assert problems == []
    assert not jsonschema_rs.is_valid(schema, compose | {"services": {"x": {"portz": []}}}), "the schema does look"


def test_every_service_is_pinned_checked_and_private(compose):
    assert {"postgres", "s3", "valkey", "opensearch", *OURS} <= compose["services"].keys()
    for name, service in compose["services"].items():
        assert service["image"].partition(":")[2] not in ("", "latest"), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        if service.get("restart") == "unless-stopped":
            assert service["healthcheck"]["test"], name


def test_whoever_is_waited_for_can_be_waited_for(compose):
    for name, service in compose["services"].items():
        for other, how in service.get("depends_on", {}).items():
            target = compose["services"][other]
            healthy = how["condition"] == "service_healthy"
            assert ("healthcheck" in target) if healthy else (target["restart"] == "no"), (name, other)


def test_no_secret_has_a_default(compose):
    text = (DEPLOY / "compose.yaml").read_text()
    assert set(re.findall(r"\$\{(\w+)", text)) == set(SECRETS)
    assert len(re.findall(r"\$\{", text)) == len(re.findall(r"\$\{\w+:\?[^}]+\}", text))
    example = dict(line.split("=", 1) for line in env_lines())
    assert example["KHUNG_STORES_POSTGRES_PASSWORD"] == example["KHUNG_STORES_S3_SECRET"] == ""


def env_lines() -> list[str]:
    return [line for line in (DEPLOY / "services.env.example").read_text().splitlines() if line and line[0] != "#"]


def test_named_volumes_are_declared_and_used(compose):
    used = {v.partition(":")[0] for s in compose["services"].values() for v in s.get("volumes", [])}
    assert used == set(compose["volumes"])


@pytest.mark.parametrize("name", ["search", "dagster-webserver", "dagster-daemon", "backup"])
def test_its_settings_are_khungs_and_lead_to_its_services(compose, name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for variable, value in compose["services"][name]["environment"].items():
        monkeypatch.setenv(variable, filled(value))
    settings = Settings()
    stores = settings.stores
    groups = {"": Settings, "STORES_": StoreSettings, "SERVE_": ServeSettings}
    known = {f"KHUNG_{group}{n.upper()}" for group, of in groups.items() for n in of.model_fields}
    assert compose["services"][name]["environment"].keys() <= known
    addresses = [stores.archive_url, stores.postgres_url, stores.dagster_url, stores.redis_url, stores.opensearch_url]
    assert {urlsplit(url).hostname for url in addresses} <= compose["services"].keys()
    assert settings.inbox_dir == Path("/inbox"), "uploads reach the pipeline"


def test_the_encoder_is_asked_for_by_name_and_reads_khungs_settings(compose):
    encoder = compose["services"]["encoder"]
    assert encoder["profiles"] == ["encoder"], "the services profile runs without a GPU"
    groups = {"": Settings, "EMBEDDER_": EmbedderSettings, "ENCODER_": EncoderSettings}
    known = {f"KHUNG_{group}{n.upper()}" for group, of in groups.items() for n in of.model_fields}
    assert encoder["environment"].keys() <= known
    assert encoder["ports"] == ["127.0.0.1:8100:8100"] and "8100" in encoder["command"]


def test_the_one_switch_gives_the_same_services_on_this_machine(compose, monkeypatch, tmp_path):
    values = {k: v or SECRETS[k] for k, v in (line.split("=", 1) for line in env_lines())}
    (tmp_path / ".env").write_text("".join(f"{k}={v}\n" for k, v in values.items()))
    monkeypatch.chdir(tmp_path)
    stores = Settings().stores
    ports = {
        urlsplit(u).port for u in (stores.archive_url, stores.postgres_url, stores.redis_url, stores.opensearch_url)
    }
    published = {int(port.split(":")[1]) for s in compose["services"].values() for port in s.get("ports", [])}
    assert ports <= published and stores.dagster_url == stores.postgres_url
    assert Settings(stores=StoreSettings(_env_file=None)).stores.postgres_url == "", "without it nothing is a service"


def test_the_switch_asks_for_its_secrets():
    with pytest.raises(ConfigError, match="KHUNG_STORES_POSTGRES_PASSWORD"):
        StoreSettings(profile="services", _env_file=None)
    given = StoreSettings(
        profile="services", archive_url="s3://k:s@far/b", postgres_url="postgresql://far/x", _env_file=None
    )
    assert given.archive_url == "s3://k:s@far/b" and given.dagster_url == "postgresql://far/x"


def test_the_log_is_archived_as_the_backup_expects_it(compose):
    options = dict(part[2:].split("=", 1) for part in compose["services"]["postgres"]["command"][1:])
    wanted = archive_settings(Path("/backups/wal"))
    assert options == wanted


def test_the_commands_are_there(compose):
    """Each command of our image, asked for its help: a name or an option that is gone shows here."""
    for name in OURS:
        program, *rest = compose["services"][name]["command"]
        words = [word for word in rest if not word.startswith("-")][:1]
        command = (
            [sys.executable, "-m", "khung"] if program == "khung" else [str(Path(sys.executable).parent / program)]
        )
        if program != "khung":
            words = words if program == "dagster-daemon" else []
        said = subprocess.run([*command, *words, "--help"], capture_output=True, text=True, cwd=ROOT)
        assert said.returncode == 0, said.stderr
        for option in (word for word in rest if word.startswith("-")):
            assert option in said.stdout, (name, option)


def test_the_image_takes_what_it_copies():
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    copied = [word for line in lines if line.startswith("COPY") for word in line.split()[1:-1]]
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert copied and all((ROOT / name).exists() for name in copied)
    assert {name.rstrip("/") for name in copied} == set(kept)


def of_cluster(service: str) -> dict[str, dict]:
    """The parts of an example by their kinds, after what holds of each. Only what can be seen without a cluster: it reads, and its
    commands, variables and ports are khung's."""
    parts = {p["kind"]: p for p in yaml.safe_load_all((DEPLOY / "kubernetes" / f"{service}.yaml").read_text())}
    deployment = parts["Deployment"]["spec"]
    pod, about = deployment["template"]["spec"], deployment["template"]["metadata"]
    (container,) = pod["containers"]
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"][service]
    assert container["command"] == compose["command"]
    assert {e["name"] for e in container["env"]} <= variables()
    assert {m["name"] for m in container["volumeMounts"]} == {v["name"] for v in pod["volumes"]}
    assert deployment["selector"]["matchLabels"] == parts["Service"]["spec"]["selector"] == about["labels"]
    port = container["command"][-1]
    assert port == str(container["ports"][0]["containerPort"]) == about["annotations"]["prometheus.io/port"]
    return parts


@pytest.mark.parametrize(("service", "paths"), [("search", {"/health", "/ready"}), ("encoder", {"/health"})])
def test_the_probes_of_a_cluster_ask_what_the_service_answers(service, paths, tmp_path):
    (container,) = of_cluster(service)["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert {probe["httpGet"]["path"] for name, probe in container.items() if name.endswith("Probe")} == paths
    app = {"search": create_app, "encoder": create_encoder}[service](Settings(home=tmp_path))
    assert paths <= app.openapi()["paths"].keys()


def test_the_cluster_example_speaks_of_what_there_is():
    parts = of_cluster("search")
    assert parts["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == parts["Deployment"]["metadata"]["name"]
    values = yaml.safe_load((DEPLOY / "kubernetes" / "dagster-values.yaml").read_text())
    (deployment,) = values["dagster-user-deployments"]["deployments"]
    assert deployment["dagsterApiGrpcArgs"][-1] == "orchestration.definitions"
