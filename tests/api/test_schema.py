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

from khung.api import keys
from khung.api.app import create_app
from khung.api.keys import SCOPES
from khung.settings import Settings
from tests.support.served import served
from tests.support.small_home import ColourEmbedder

COMMITTED = Path(__file__).parent / "openapi.json"
DESCRIBED = json.loads(COMMITTED.read_text("utf-8"))["paths"]
OPERATIONS = [(path, method) for path, methods in DESCRIBED.items() for method in methods]

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


@pytest.fixture(scope="module")
def locked(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[OpenApiSchema, dict[str, str]]]:
    """The same behind keys, and one key for each scope."""
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    made = {scope: keys.create(path, scope, [scope])[0] for scope in SCOPES}
    serve = settings.serve.model_copy(
        update={"keys_file": path, "search_rate": "", "upload_rate": "", "failure_rate": ""}
    )
    app = create_app(settings.model_copy(update={"serve": serve}), embedder=ColourEmbedder())
    with served(app) as address:
        yield schemathesis.openapi.from_url(f"{address}/v1/openapi.json", headers=bearer(made["search"])), made


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def every(case, examples: int):
    """Ask with so many examples, always the same ones."""
    return lambda ask: given(case=case)(
        hypothesis_settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )(ask)
    )()


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_operation_keeps_its_promise(api, path, method):
    def ask(case):
        excluded = [positive_data_acceptance] if (path, method) in BEYOND_SCHEMAS else []
        case.call_and_validate(checks=CHECKED, excluded_checks=excluded)

    every(api[path][method].as_strategy(), 25)(ask)


@pytest.mark.parametrize("role", SCOPES)
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_operation_keeps_its_promise_to_each_key(locked, path, method, role):
    """With a key all checks hold as without any; who has not the scope is refused whatever is sent, as is described."""
    schema, made = locked
    scope = DESCRIBED[path][method].get("x-khung-scope", "")
    allowed = role in (scope, "admin") or not scope

    def ask(case):
        excluded = [] if allowed and (path, method) not in BEYOND_SCHEMAS else [positive_data_acceptance]
        answer = case.call_and_validate(checks=CHECKED, excluded_checks=excluded, headers=bearer(made[role]))
        denied = answer.status_code in (401, 403) and answer.json()["title"] == "Access denied"
        assert denied != allowed, answer.status_code

    every(schema[path][method].as_strategy(), 4)(ask)


def test_every_scope_opens_something_and_all_checks_are_asked():
    assert {one.get("x-khung-scope") for methods in DESCRIBED.values() for one in methods.values()} >= set(SCOPES)
    assert len(CHECKED) >= 12 and positive_data_acceptance in CHECKED


def test_the_committed_description_is_this_one(settings):
    """A change of the API is seen in review. Write it anew: KHUNG_WRITE_OPENAPI=1 pytest tests/api/test_schema.py."""
    app = create_app(settings, embedder=ColourEmbedder())
    now = json.dumps(app.openapi(), indent=1, ensure_ascii=False, sort_keys=True)
    if os.environ.get("KHUNG_WRITE_OPENAPI"):
        COMMITTED.write_text(now + "\n", "utf-8")
    assert COMMITTED.read_text("utf-8").rstrip() == now
