"""`khung serve` as processes: it ends without breaking off what it took, a killed worker is replaced, a revoked key is refused by all."""

import contextlib
import http.client
import os
import signal

import httpx
import psutil
import pytest

from khung.api import keys
from khung.shards.snapshot import rollback
from tests.support.patience import until
from tests.support.processes import answers, connections_of, opened, takes_by_all, workers_of
from tests.support.small_home import copied


def begun_upload(port, name):
    """An upload of which half is sent."""
    upload = http.client.HTTPConnection("127.0.0.1", port, timeout=90)
    upload.putrequest("POST", f"/v1/uploads?name={name}")
    upload.putheader("content-length", "1000")
    upload.endheaders()
    upload.send(b"x" * 500)
    return upload


@pytest.mark.parametrize("workers", [1, 2])
def test_row_32_what_was_taken_is_answered_after_sigterm(serve, settings, tmp_path, workers):
    process, port = serve("--workers", str(workers), KHUNG_INBOX=str(tmp_path / "inbox"))
    uploads = [begun_upload(port, f"drain{n}.mp4") for n in range(8)]
    until(lambda: len(list((tmp_path / "inbox").glob("*.part"))) == 8)
    process.send_signal(signal.SIGTERM)
    until(lambda: not any(listens(pid) for pid in workers_of(process) or {process.pid}))  # nobody new is let in
    for upload in uploads:
        upload.send(b"y" * 500)
    assert [upload.getresponse().status for upload in uploads] == [201] * 8
    assert process.wait(60) in (0, -signal.SIGTERM)  # uvicorn ends by the signal that it was sent
    for upload in uploads:
        upload.close()
    assert len(list((tmp_path / "inbox").glob("drain*.mp4"))) == 8


def listens(pid):
    with contextlib.suppress(psutil.NoSuchProcess):
        return any(one.status == psutil.CONN_LISTEN for one in psutil.Process(pid).net_connections("tcp"))
    return False


def test_rows_31_and_57_a_killed_worker_is_replaced_and_a_revoked_key_is_refused_by_all(serve, tmp_path):
    path = tmp_path / "keys.json"
    whole, key = keys.create(path, "leaked", ["admin"])
    process, port = serve("--workers", "2", KHUNG_SERVE_KEYS_FILE=str(path), KHUNG_SERVE_FAILURE_RATE="")
    address = f"http://127.0.0.1:{port}"
    until(lambda: answers(address, "/ready") == 200 and len(workers_of(process)) == 2)
    victim = min(workers_of(process))
    os.kill(victim, signal.SIGKILL)
    until(lambda: len(workers_of(process) - {victim}) == 2)
    until(lambda: answers(address, "/ready") == 200 and takes_by_all(process, port))
    bearer = {"authorization": f"Bearer {whole}"}
    for worker in workers_of(process):  # the new one, too, has the snapshot
        with only(worker, workers_of(process)):
            assert answers(address, "/ready") == 200
            assert answers(address, "/v1/search?q=ph", **bearer) == 200
    assert answers(address, "/v1/search?q=ph", **bearer) == 200
    told = httpx.get(f"{address}/metrics", headers=bearer, timeout=30).text
    assert "http_server_request_duration_seconds_count" in told and "khung_snapshot_info" in told
    keys.revoke(path, key.id)
    until(lambda: [answers(address, "/v1/videos", **bearer) for _ in range(12)] == [401] * 12)


def test_connections_lie_evenly_in_the_workers_and_a_killed_one_holds_up_nobody(serve):
    process, port = serve("--workers", "2")
    until(lambda: takes_by_all(process, port))
    clients = opened(port, 40)
    held = [connections_of(pid, port) for pid in workers_of(process)]
    assert sum(held) == 40 and min(held) >= 10  # who is in the middle of something, or has no core, is not waited for
    emptied = min(workers_of(process))
    for client in clients:
        near = client.sock.getsockname()[1]
        if any(one.raddr and one.raddr.port == near for one in psutil.Process(emptied).net_connections("tcp")):
            client.close()
    until(lambda: connections_of(emptied, port) == 0)
    clients += opened(port, 15)
    assert connections_of(emptied, port) >= 8  # most make up for what the other has
    os.kill(emptied, signal.SIGKILL)
    clients += opened(port, 3)
    until(lambda: len(workers_of(process) - {emptied}) == 2)
    for client in clients:
        client.close()


@pytest.fixture
def moving(tmp_path, two_snapshots):
    """A home of its own with two snapshots, the older in service: `(settings, older, newer)`."""
    filled, older, newer = two_snapshots
    return copied(filled, tmp_path / "home"), older, newer


@contextlib.contextmanager
def only(worker, workers):
    """The others stand still for a moment, so that this one answers."""
    others = set(workers) - {worker}
    for other in others:
        os.kill(other, signal.SIGSTOP)
    try:
        yield
    finally:
        for other in others:
            os.kill(other, signal.SIGCONT)


def test_two_workers_are_one_service(serve, moving):
    """A cursor of one is good at the other, both follow the pointer, a rate and the metrics are of both together."""
    settings, older, newer = moving
    process, port = serve(
        "--workers", "2", KHUNG_HOME=str(settings.home), KHUNG_SERVE_SEARCH_RATE="40/hour", KHUNG_SERVE_POLL_S="0.1"
    )
    address = f"http://127.0.0.1:{port}"
    until(lambda: answers(address, "/ready") == 200 and len(workers_of(process)) == 2)
    one, other = sorted(workers_of(process))

    def ask(**more):
        wanted = {"video": "googlework_short", "limit": 2} | more
        return httpx.get(f"{address}/v1/search", params=wanted, timeout=60)

    told = []

    def by(worker, **more):
        with only(worker, (one, other)):
            told.append(ask(**more))
        return told[-1].json()

    first = by(one)
    assert first["snapshot"] == older and first["next"]
    pages = [by(worker, cursor=first["next"])["hits"] for worker in (one, other)]
    assert pages[0] and pages[0] == pages[1]

    rollback(settings.shelf_dir, newer)
    for worker in (one, other):
        until(lambda worker=worker: ready_of(worker, (one, other), address) == newer)
        assert by(worker)["snapshot"] == newer
        assert by(worker, cursor=first["next"])["hits"] == pages[0]

    told += [ask() for _ in range(60)]
    statuses = [answer.status_code for answer in told]
    assert set(statuses) == {200, 429} and statuses.count(200) <= 40
    counted = f'http_server_request_duration_seconds_count{{method="GET",route="/v1/search",status="200"}} {float(statuses.count(200))}'
    assert counted in httpx.get(f"{address}/metrics", timeout=60).text.splitlines()


def ready_of(worker, workers, address):
    with only(worker, workers):
        return httpx.get(f"{address}/ready", timeout=60).json().get("snapshot")
