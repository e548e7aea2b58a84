"""`khung serve` as processes: it ends without breaking off what it took, a killed worker is replaced, a revoked key is refused by all."""

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import time

import httpx
import psutil
import pytest

from khung.api import keys
from tests.support.served import free_port


def until(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.05)


def answers(address, path="/health", **headers):
    try:
        return httpx.get(address + path, timeout=30, headers=headers).status_code
    except httpx.TransportError:
        return 0


@pytest.fixture
def serve(settings, tmp_path):
    """Start `khung serve` over the small home; what is still running at the end is killed."""
    started = []

    def start(*options, **environment):
        port = free_port()
        env = os.environ | {"KHUNG_HOME": str(settings.home.absolute())} | environment
        command = [sys.executable, "-m", "khung", "serve", "--port", str(port), *options]
        with open(tmp_path / "serve.log", "wb") as log:
            process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        started.append(process)
        until(lambda: answers(f"http://127.0.0.1:{port}") == 200 or process.poll() is not None)
        assert process.poll() is None, (tmp_path / "serve.log").read_text()
        return process, port

    yield start
    for process in started:
        for child in psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []:
            child.kill()
        process.kill()
        process.wait(30)


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


def workers_of(process):
    """Pids of the workers that live."""
    found = set()
    for child in psutil.Process(process.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # a zombie, or gone meanwhile
            if "spawn_main" in " ".join(child.cmdline()):
                found.add(child.pid)
    return found


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
    until(lambda: answers(address, "/ready") == 200)
    bearer = {"authorization": f"Bearer {whole}"}
    assert answers(address, "/v1/search?q=ph", **bearer) == 200
    told = httpx.get(f"{address}/metrics", headers=bearer, timeout=30).text
    assert "http_server_request_duration_seconds_count" in told and "khung_snapshot_info" in told
    keys.revoke(path, key.id)
    until(lambda: [answers(address, "/v1/videos", **bearer) for _ in range(12)] == [401] * 12)
