"""Errors as RFC 9457 problems: every error of the tree has a status, and nothing of khung's insides leaves."""

import json

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient

from khung import errors
from khung.api import problems
from khung.api.problems import TABLE, problem_of


def tree(kind=errors.KhungError):
    """The errors of the tree's own file. Others are told as what they derive from, and are not always imported."""
    own = [sub for sub in kind.__subclasses__() if sub.__module__ == errors.__name__]
    return [kind, *(found for sub in own for found in tree(sub))]


def made(kind):
    first = ("reason",) if issubclass(kind, errors.MediaError) else ()
    return kind(*first, "What is wrong.", cure="What helps.")


@pytest.mark.parametrize("kind", tree())
def test_every_error_is_a_problem(kind):
    problem = problem_of(made(kind))
    assert 400 <= problem.status <= 599
    if not kind.said:
        assert (problem.detail, problem.cure) == ("What is wrong.", "What helps.")
    assert problem.type.startswith("urn:khung:problem:") and " " not in problem.type


@pytest.mark.parametrize(
    "kind", [errors.StoreError, errors.Outage, errors.CorruptError, errors.ModelUnavailable, errors.ModelFileMissing]
)
def test_what_a_store_says_of_hosts_and_paths_stays_in_the_log(kind, caplog):
    secret = "/srv/khung and 10.0.0.7:5432"
    problem = problem_of(kind(f"It broke: {secret}.", cure=f"Look at {secret}."))
    assert secret not in problem.model_dump_json() and problem.detail == kind.said
    assert secret in caplog.records[-1].reason
    assert problem_of(kind(secret, said="The archive does not answer.")).detail == "The archive does not answer."
    named = problem_of(kind("The disk is full.", cure="Free some.").known_as("disk_full"))
    assert (named.detail, named.cure) == ("The disk is full.", "Free some."), "written for screens"


def test_no_row_hides_behind_a_wider_one():
    kinds = [kind for kind, _, _ in TABLE]
    for at, kind in enumerate(kinds):
        assert not any(issubclass(later, kind) for later in kinds[at + 1 :]), kind


@pytest.fixture
def client():
    app = FastAPI()
    problems.install(app)

    @app.get("/v1/fail")
    def fail(kind: str):
        raise {
            "busy": errors.Overloaded("Full.", retry_after_s=7),
            "bug": ZeroDivisionError("secret /etc/path"),
            "http": HTTPException(418, "tea", headers={"X-Pot": "1"}),
            "surrogate": errors.QueryError("bad \ud800 text"),
        }[kind]

    return TestClient(app, raise_server_exceptions=False)


def test_too_busy_says_when_to_come_back(client):
    answer = client.get("/v1/fail?kind=busy")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"


def test_an_unknown_error_keeps_its_secrets(client):
    answer = client.get("/v1/fail?kind=bug")
    assert answer.status_code == 500
    assert "secret" not in answer.text and "ZeroDivision" not in answer.text


def test_http_errors_keep_status_and_headers(client):
    answer = client.get("/v1/fail?kind=http")
    assert (answer.status_code, answer.json()["detail"], answer.headers["x-pot"]) == (418, "tea", "1")


def test_refused_parameters_are_named_and_not_echoed(client):
    answer = client.get("/v1/fail")
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"where": "query.kind", "message": "Field required"}]


def test_unknown_paths_and_methods(client):
    assert client.get("/nowhere").json()["status"] == 404
    assert client.post("/v1/fail").json()["status"] == 405


def test_lone_surrogates_do_not_break_the_answer(client):
    assert json.loads(client.get("/v1/fail?kind=surrogate").content)["detail"] == "bad ? text"
