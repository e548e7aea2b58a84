"""The OpenAPI description is true: schemathesis asks every operation what it promises, and whatever it does not."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.specs.openapi.checks import positive_data_acceptance
from schemathesis.specs.openapi.schemas import OpenApiSchema

from khung.api.app import create_app
from khung.settings import Settings
from tests.support.served import served
from tests.support.small_home import ColourEmbedder

COMMITTED = Path(__file__).parent / "openapi.json"
OPERATIONS = [
    (path, method) for path, methods in json.loads(COMMITTED.read_text("utf-8"))["paths"].items() for method in methods
]

load_all_checks()
CHECKED = CHECKS.get_all()
BEYOND_SCHEMAS = {  # may refuse what the schema allows, for a reason that JSON Schema cannot say
    ("/v1/search", "get"): "something must be asked",
    ("/v1/search", "post"): "something must be asked",
    ("/v1/search/stream", "get"): "something must be asked",
    ("/v1/feedback", "post"): "the frames must be known",
    ("/v1/query-images", "post"): "the bytes must be a picture",
    ("/v1/answer-file", "get"): "something must be asked, and found",
    ("/v1/uploads", "post"): "the name must end like a video's",
}


@pytest.fixture(scope="module")
def api(settings: Settings) -> Iterator[OpenApiSchema]:
    with served(create_app(settings, embedder=ColourEmbedder())) as address:
        yield schemathesis.openapi.from_url(f"{address}/v1/openapi.json")


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_operation_keeps_its_promise(api, path, method):
    @given(case=api[path][method].as_strategy())
    @hypothesis_settings(
        max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    def ask(case):
        excluded = [positive_data_acceptance] if (path, method) in BEYOND_SCHEMAS else []
        case.call_and_validate(checks=CHECKED, excluded_checks=excluded)

    ask()


def test_the_committed_description_is_this_one(settings):
    """A change of the API is seen in review. Write it anew: KHUNG_WRITE_OPENAPI=1 pytest tests/api/test_schema.py."""
    app = create_app(settings, embedder=ColourEmbedder())
    now = json.dumps(app.openapi(), indent=1, ensure_ascii=False, sort_keys=True)
    if os.environ.get("KHUNG_WRITE_OPENAPI"):
        COMMITTED.write_text(now + "\n", "utf-8")
    assert COMMITTED.read_text("utf-8").rstrip() == now
