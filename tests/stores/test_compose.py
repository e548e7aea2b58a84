"""What of the compose file can be checked without a Docker engine: it is what it says, and nothing listens to strangers."""

from pathlib import Path
from typing import Any

import pytest
import yaml

FILE = Path(__file__).parent.parent.parent / "deploy" / "compose.yaml"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load(FILE.read_text())


def test_every_service_is_pinned_checked_and_private(compose: dict[str, Any]) -> None:
    assert sorted(compose["services"]) == ["opensearch", "postgres", "s3", "valkey"]
    for name, service in compose["services"].items():
        assert service["image"].partition(":")[2] not in ("", "latest"), name
        assert service["healthcheck"]["test"], name
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), name


def test_no_secret_has_a_default(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            if any(word in name for word in ("PASSWORD", "SECRET", "ACCESS_KEY")):
                assert value.startswith("${") and ":?" in value


def test_named_volumes_are_declared(compose: dict[str, Any]) -> None:
    used = {v.partition(":")[0] for s in compose["services"].values() for v in s.get("volumes", [])}
    assert used == set(compose["volumes"])
