"""The contest over HTTP, against a server made from DRES's own OpenAPI description: log in, check, share, send, fail, log."""

import csv
import io
import sqlite3
from contextlib import closing

import pytest
from fastapi.testclient import TestClient

from khung.api.app import create_app
from khung.settings import ContestSettings
from tests.contest.dres_server import DresServer, Fault
from tests.support.small_home import ColourEmbedder

PICK = {"video_id": "googlework_short", "frame_index": 0}
KIS = {"kind": "KIS", "picks": [PICK]}


@pytest.fixture(scope="module")
def dres():
    server = DresServer()
    with server.served():
        yield server


@pytest.fixture
def operator(settings, dres):
    """A logged-in browser; the team's list is empty."""
    dres.reset()
    dres.items = {"googlework_short", "cockatoo_cc0"}
    settings.contest_path.unlink(missing_ok=True)
    mine = settings.model_copy(update={"contest": ContestSettings(server=dres.address)})
    with TestClient(create_app(mine, embedder=ColourEmbedder()), raise_server_exceptions=False) as client:
        login = client.post("/v1/contest/login", json={"username": "thi", "password": "bí mật"})
        assert login.status_code == 200, login.text
        assert login.json()["evaluation_id"]
        yield client
    assert dres.mistakes == []


def test_a_browser_gets_a_cookie_and_never_the_session(operator, dres):
    login = operator.post("/v1/contest/login", json={"username": "thi", "password": "bí mật"})
    cookie = login.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie
    assert not any(session in login.headers["set-cookie"] + login.text for session in dres.sessions)


def test_the_task_and_its_countdown(operator, dres):
    now = operator.get("/v1/contest/now").json()
    assert now["task"]["name"] == dres.task["name"]
    assert now["task"]["left_s"] == dres.task["duration"] - dres.elapsed_s
    assert now["entries"] == []


def test_no_task_and_a_hidden_clock(operator, dres):
    dres.participants_see_state = False
    assert operator.get("/v1/contest/now").json()["task"]["left_s"] is None
    dres.task = None
    assert operator.get("/v1/contest/now").json()["task"] is None
    assert operator.post("/v1/contest/check", json=KIS).status_code == 409


def test_check_tells_exactly_what_would_be_sent(operator, dres):
    draft = operator.post("/v1/contest/check", json=KIS).json()
    assert draft["answer"] == {"mediaItemName": "googlework_short", "start": 0, "end": 0}
    assert (draft["frames"], draft["times_ms"], draft["notices"]) == ([0], [0], [])
    assert dres.submissions == []
    moment = {"kind": "KIS", "picks": [{"video_id": "googlework_short", "at_ms": 2002}]}
    assert operator.post("/v1/contest/check", json=moment).json()["frames"] == [60]


@pytest.mark.parametrize("verdict", ["CORRECT", "WRONG", "INDETERMINATE", "UNDECIDABLE"])
def test_every_verdict(operator, dres, verdict):
    dres.verdicts = [verdict]
    entry = operator.post("/v1/contest/answers", json=KIS).json()
    told = operator.post(f"/v1/contest/answers/{entry['id']}/send", json={}).json()
    assert (told["state"], told["verdict"], told["sent_by"]) == ("sent", verdict, "thi")
    assert len(dres.submissions) == 1
    assert operator.get("/v1/contest/now").json()["entries"][0]["verdict"] == verdict


def test_nothing_is_sent_twice_by_accident(operator, dres):
    dres.verdicts = ["WRONG", "WRONG"]
    entry = operator.post("/v1/contest/answers", json=KIS).json()
    assert operator.post(f"/v1/contest/answers/{entry['id']}/send", json={}).status_code == 200
    refused = operator.post(f"/v1/contest/answers/{entry['id']}/send", json={})
    assert (refused.status_code, refused.json()["title"]) == (409, "Submission refused")
    assert [n["code"] for n in operator.post("/v1/contest/check", json=KIS).json()["notices"]] == ["already_sent"]
    assert len(dres.submissions) == 1
    asked = dres.calls.count("postApiV2SubmitByEvaluationId")
    again = operator.post(f"/v1/contest/answers/{entry['id']}/send", json={"again": True})
    assert (
        dres.calls.count("postApiV2SubmitByEvaluationId") == asked + 1
    )  # on purpose it goes out; DRES refuses duplicates
    assert again.status_code == 409


@pytest.mark.parametrize("path", ["check", "answers"])
def test_an_answer_is_for_the_task_it_was_meant_for(operator, dres, path):
    meant = KIS | {"task_key": operator.get("/v1/contest/now").json()["task"]["key"]}
    assert operator.post(f"/v1/contest/{path}", json=meant).is_success
    dres.task, dres.task_id = dres.task | {"name": "kis-2"}, "task-2"
    refused = operator.post(f"/v1/contest/{path}", json=meant)
    assert (refused.status_code, refused.json()["code"]) == (409, "task_changed")
    assert "kis-2" in refused.json()["detail"]
    assert operator.get("/v1/contest/now").json()["entries"] == []


def test_the_list_is_the_team_s(operator, dres):
    entry = operator.post("/v1/contest/answers", json=KIS).json()
    operator.cookies.clear()
    assert operator.get("/v1/contest/now").status_code == 401
    operator.post("/v1/contest/login", json={"username": "lan", "password": "cũng bí mật"})
    assert [e["by"] for e in operator.get("/v1/contest/now").json()["entries"]] == ["thi"]
    assert operator.delete(f"/v1/contest/answers/{entry['id']}").status_code == 204
    assert operator.get("/v1/contest/now").json()["entries"] == []


def test_a_restart_logs_nobody_out(operator, settings, dres):
    mine = settings.model_copy(update={"contest": ContestSettings(server=dres.address)})
    with TestClient(create_app(mine, embedder=ColourEmbedder()), cookies=dict(operator.cookies)) as again:
        assert again.get("/v1/contest/now").json()["username"] == "thi"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"kind": "KIS", "picks": []}, 422),
        ({"kind": "QA", "picks": [], "text": " "}, 422),
        ({"kind": "TRAKE", "picks": [PICK, PICK]}, 422),
        ({"kind": "KIS", "picks": [{"video_id": "googlework_short", "frame_index": 10**6}]}, 422),
        ({"kind": "KIS", "picks": [{"video_id": "googlework_short"}]}, 422),
        ({"kind": "KIS", "picks": [{"video_id": "nobody", "frame_index": 0}]}, 404),
        ({"kind": "ELSE", "picks": [PICK]}, 422),
    ],
)
def test_answers_that_can_never_be_right(operator, dres, answer, status):
    assert operator.post("/v1/contest/check", json=answer).status_code == status
    assert dres.submissions == []


def test_a_wrong_password(operator):
    answer = operator.post("/v1/contest/login", json={"username": "thi", "password": "no"})
    assert (answer.status_code, answer.json()["title"]) == (401, "Contest login needed")


@pytest.mark.parametrize("status", [400, 404, 412])
def test_the_server_s_refusals_are_told_and_kept(operator, dres, status):
    entry = operator.post("/v1/contest/answers", json=KIS).json()
    dres.faults["postApiV2SubmitByEvaluationId"] = Fault(status=status)
    answer = operator.post(f"/v1/contest/answers/{entry['id']}/send", json={})
    assert answer.status_code in (409, 502)
    assert answer.json()["detail"]
    assert operator.get("/v1/contest/now").json()["entries"][0]["state"] == "refused"


def test_logging_out(operator, dres):
    assert operator.post("/v1/contest/logout").status_code == 204
    assert operator.get("/v1/contest/now").status_code == 401


def test_searches_are_logged_for_the_organisers(operator, dres):
    page = operator.get("/", params={"q": "văn phòng"})
    assert page.status_code == 200
    for _ in range(100):
        if len(dres.logs) == 2:
            break
        operator.get("/health")
    kinds = [kind for kind, _ in dres.logs]
    assert sorted(kinds) == ["query", "result"]
    assert "văn phòng" in str(dres.logs)


def test_a_search_does_not_wait_for_the_team_s_file(operator, settings):
    with closing(sqlite3.connect(settings.contest_path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert operator.get("/", params={"q": "văn phòng"}).status_code == 200
        assert operator.get("/health").status_code == 200
        other.execute("ROLLBACK")


def test_without_a_contest_there_is_no_door(client):
    assert client.get("/contest").status_code == 404
    assert client.get("/v1/contest/now").status_code == 404
    assert '"/contest' not in client.get("/").text  # no link to it; the script that would serve it is part of the page


def rows(answer):
    assert answer.status_code == 200, answer.text
    return list(csv.reader(io.StringIO(answer.text)))


def test_answer_files_of_the_ai_challenge(client):
    kis = client.get("/v1/answer-file", params={"name": "query-1-kis", "q": "văn phòng"})
    assert kis.headers["content-disposition"] == 'attachment; filename="query-1-kis.csv"'
    assert rows(kis)[0][0] == "googlework_short" and rows(kis)[0][1].isdigit()
    assert rows(client.get("/v1/answer-file", params={"name": "q-2-qa", "q": "văn phòng", "answer": "4"}))[0][2] == "4"
    chain = rows(client.get("/v1/answer-file", params={"name": "q-3-trake", "q": "trên phố", "then": "văn phòng"}))
    assert all(len(row) == 3 and int(row[1]) < int(row[2]) for row in chain)
    steps = {"name": "query-1-kis", "q": "trên phố", "then": "văn phòng"}
    assert rows(client.get("/v1/answer-file", params=steps)) == [row[:2] for row in chain]
    assert client.get("/v1/answer-file", params={"name": "q-1-else", "q": "x"}).status_code == 422
    assert client.get("/v1/answer-file", params={"name": "q-2-qa", "q": "văn phòng"}).status_code == 422


def test_map_keyframes(client):
    table = rows(client.get("/v1/videos/googlework_short/map-keyframes"))
    assert table[0] == ["n", "pts_time", "fps", "frame_idx"] and table[1][0] == "1" and table[1][3] == "0"
    assert len(table) == 1 + client.get("/v1/videos/googlework_short").json()["total_frames"]
