"""One truth for all workers: whoever is asked, an operator is logged in, the list is the same, and an answer is sent once."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.contest.dres_server import DresServer, Fault
from tests.support.patience import until
from tests.support.processes import one_in_each

KIS = {"kind": "KIS", "picks": [{"video_id": "googlework_short", "frame_index": 0}]}


@pytest.fixture
def dres():
    server = DresServer()
    with server.served():
        server.items = {"googlework_short"}
        yield server
    assert server.mistakes == []


class Browser:
    """One browser with a connection to each worker."""

    def __init__(self, workers):
        self.workers, self.cookie = workers, ""

    def ask(self, worker, method, path, body=None):
        headers = {"content-type": "application/json", "cookie": self.cookie}
        data = None if body is None else json.dumps(body)
        self.workers[worker].request(method, f"/v1/contest/{path}", data, headers)
        answer = self.workers[worker].getresponse()
        if given := answer.getheader("set-cookie"):
            self.cookie = given.partition(";")[0]
        text = answer.read()
        return answer.status, json.loads(text) if text else None

    def close(self):
        for worker in self.workers:
            worker.close()

    def entries(self, worker):
        return [(e["id"], e["state"], e["verdict"]) for e in self.ask(worker, "GET", "now")[1]["entries"]]


def test_two_workers_are_one_khung_to_the_contest(serve, settings, dres):
    settings.contest_path.unlink(missing_ok=True)
    process, port = serve("--workers", "2", KHUNG_CONTEST_SERVER=dres.address)
    thi = Browser(until(lambda: one_in_each(process, port)))
    status, seat = thi.ask(0, "POST", "login", {"username": "thi", "password": "bí mật"})
    assert status == 200 and seat["evaluation_id"]
    assert thi.ask(1, "GET", "now")[1]["username"] == "thi"  # logged in at both

    status, entry = thi.ask(0, "POST", "answers", KIS)  # this worker has seen the task's id
    assert status == 201
    dres.faults["getApiV2EvaluationByEvaluationIdState"] = Fault(status=500)
    assert thi.entries(1) == thi.entries(0) == [(entry["id"], "proposed", "")]  # and the other knows it, too
    dres.faults.clear()

    with ThreadPoolExecutor(2) as both:
        send = f"answers/{entry['id']}/send"
        told = list(both.map(lambda worker: thi.ask(worker, "POST", send, {})[0], (0, 1)))
    assert sorted(told) == [200, 409] and len(dres.submissions) == 1
    assert thi.entries(0) == thi.entries(1)
    assert thi.ask(1, "POST", "answers", KIS)[1]["id"] == entry["id"]  # it stands there already

    assert thi.ask(1, "POST", "logout")[0] == 204
    assert thi.ask(0, "GET", "now")[0] == 401
    thi.close()
