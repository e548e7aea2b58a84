"""What a stranger with bad intent tries beyond the fault table: other names for this machine, other addresses of one network, floods of
parameters and errors, silent bodies, full houses, links in the inbox."""

import asyncio
import gc
import io
import os
import socket
import time
import weakref
from urllib.parse import parse_qsl

import httpx
import pytest
from fastapi import FastAPI, Query, Request
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from khung.api.access import peer, rule_of
from khung.api.app import create_app
from khung.api.asking import pairs_of, question_of
from khung.api.collector import Collector
from khung.api.guard import HEALTHY, MOST_PARAMETERS
from khung.api.inbox import Inbox
from khung.api.logs import Lines
from khung.api.protocol import PatientProtocol
from khung.api.routes.system import health
from khung.api.schemas import SearchIn
from tests.support.served import served
from tests.support.small_home import ColourEmbedder

# -- names of this machine


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200), ("127.0.0.1", 200), ("[::1]:8000", 200), ("laptop", 200), ("khung.localhost", 200), ("192.168.0.7:8000", 200),
        ("evil.example", 421), ("evil.example:8000", 421), ("127.0.0.1.evil.example", 421), ("EVIL.example.", 421), ("localhost.evil.example", 421),
    ],
)  # fmt: skip
def test_another_site_s_name_does_not_lead_here(client, host, status):
    answer = client.get("/v1/search", params={"q": "phố"}, headers={"host": host})
    assert answer.status_code == status
    if status == 421:
        assert answer.headers["content-type"] == "application/problem+json" and "KHUNG_SERVE_HOSTS" in answer.text
    assert client.get("/health", headers={"host": host}).status_code == 200


def test_a_name_of_the_settings_leads_here(settings):
    serve = settings.serve.model_copy(update={"hosts": "khung.example.org, other.example.org"})
    with TestClient(create_app(settings.model_copy(update={"serve": serve}), embedder=ColourEmbedder())) as client:
        ask = lambda host: client.get("/v1/facets", headers={"host": host}).status_code  # noqa: E731
        assert [ask("Khung.example.org:443"), ask("other.example.org"), ask("evil.example")] == [200, 200, 421]


def test_an_address_that_looks_like_another_site_is_no_link_to_it(client):
    page = client.get("//evil.example/x", headers={"accept": "text/html"})
    assert 'href="//' not in page.text and "href='//" not in page.text


# -- who asks


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),  # one network of 64 bits is one peer
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("/run/khung.sock", "", False),
    ],
)
def test_who_has_a_network_is_one_peer(one, other, same):
    assert (peer({"client": (one, 1)}) == peer({"client": (other, 1)})) == same


def test_a_long_path_is_not_remembered_but_ruled_alike():
    assert rule_of("GET", "/v1/search" + "/x" * 5000) == rule_of("GET", "/v1/search")
    assert rule_of("PATCH", "/library").rate == "uploads"
    assert (rule_of("POST", "/v1/uploads").rate, rule_of("GET", "/v1/uploads/a.mp4").rate) == ("uploads", "")


# -- floods


def test_more_parameters_than_any_question_has_are_refused(client):
    flood = "&".join(f"a{n}=1" for n in range(MOST_PARAMETERS + 2))
    assert client.get(f"/v1/search?{flood}").status_code == 422
    answer = client.get("/v1/search?q=a&" + "&".join(f"a{n}=1" for n in range(MOST_PARAMETERS - 10)))
    assert answer.status_code == 422 and len(answer.json()["errors"]) <= 20


@pytest.mark.parametrize(
    "body",
    [
        '{"q": "x", "more": [' + ",".join(['"?"'] * 30_000) + "]}",
        "[" * 100_000,
        '{"q":' * 20_000,
        "{" + ",".join(f'"a{n}":1' for n in range(9000)) + "}",
        '{"q": "' + "\\ud800" * 400 + '"}',
        '{"limit": 1e400, "q": "x"}',
        '{"q": "x", "q": "y", "limit": ' + "9" * 5000 + "}",
    ],
    ids=["wrong items", "deep list", "deep object", "unknown fields", "surrogates", "infinite", "long number"],
)
def test_a_body_that_is_made_to_hurt_is_refused_in_few_words(client, body):
    answer = client.post("/v1/search", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422) and len(answer.content) < 20_000
    assert answer.headers["content-type"] == "application/problem+json"


def test_one_of_many_pictures_waits_for_its_turn(client):
    """However many strangers send the largest picture, only so many are decoded at a time."""
    from PIL import Image

    out, most = io.BytesIO(), []
    Image.new("L", (5000, 5000)).save(out, "PNG")
    service = client.app.state.service
    put = service.images.put

    def counted(data):
        most.append(service.pictures.borrowed_tokens)
        return put(data)

    async def story():
        transport = httpx.ASGITransport(app=client.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=120) as many:
            files = lambda: {"image": ("a.png", out.getvalue())}  # noqa: E731
            return await asyncio.gather(*(many.post("/v1/query-images", files=files()) for _ in range(6)))

    service.images.put = counted
    try:
        answers = client.portal.call(story)
    finally:
        del service.images.put
    assert {answer.status_code for answer in answers} == {201} and max(most) <= 2


# -- connections


@pytest.fixture
def door(settings):
    with served(create_app(settings, embedder=ColourEmbedder())) as address:
        yield "127.0.0.1", int(address.rpartition(":")[2])


def test_a_body_that_stops_is_let_go_and_a_slow_one_is_taken(door, monkeypatch):
    monkeypatch.setattr(PatientProtocol, "body_timeout_s", 1.0)
    head = b"POST /v1/search HTTP/1.1\r\nHost: x\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n"
    with socket.create_connection(door) as silent, socket.create_connection(door) as slow:
        silent.sendall(head + b'{"q"')
        slow.sendall(head)
        for byte in b'{"q": "pho", "limi'[:14]:
            time.sleep(0.15)
            slow.sendall(bytes([byte]))
        slow.sendall(b"}     ")
        for line in (silent, slow):
            line.settimeout(60)
        assert silent.recv(1000).startswith(b"HTTP/1.1 408")
        assert slow.recv(1000).startswith((b"HTTP/1.1 200", b"HTTP/1.1 422"))


def test_a_full_house_says_so_and_is_alive(door, monkeypatch):
    monkeypatch.setattr(PatientProtocol, "max_connections", 3)
    inside = [socket.create_connection(door) for _ in range(3)]
    address = f"http://{door[0]}:{door[1]}"
    try:
        answer = httpx.get(f"{address}/v1/search?q=a", timeout=60)
        assert answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1
        assert answer.json()["title"] == "Too busy" and "default-src" in answer.headers["content-security-policy"]
        assert httpx.get(f"{address}/health", timeout=60).status_code == 200
    finally:
        for line in inside:
            line.close()


# -- the inbox


def test_a_link_in_the_inbox_is_no_file(tmp_path):
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"x")
    folder = tmp_path / "inbox"
    folder.mkdir()
    (folder / "link.mp4").symlink_to(secret)
    (folder / "real.mp4").write_bytes(b"x")
    assert Inbox(folder, 1000).files() == ["real.mp4"]


def test_what_a_dead_server_left_of_an_upload_goes_a_day_later(tmp_path):
    for name, age in ((".old.part", 90_000), (".new.part", 60), ("film.mp4", 90_000)):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    Inbox(tmp_path, 1000).forget_broken_off()
    Inbox(tmp_path / "nowhere", 1000).forget_broken_off()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".new.part", "film.mp4"]


# -- the short ways say what the long ones say


def test_health_at_once_is_the_route_s():
    assert HEALTHY.parts == (asyncio.run(health()).model_dump_json().encode(),)


def reading() -> TestClient:
    """The question as the route's own signature reads it."""
    app = FastAPI()

    @app.get("/")
    def read(asked: SearchIn = Query()) -> SearchIn:  # noqa: B008
        return asked

    @app.get("/quick")
    def quick(request: Request) -> SearchIn | None:
        return question_of(request.scope["query_string"])

    return TestClient(app)


PAIRS = st.lists(
    st.tuples(
        st.sampled_from([*SearchIn.model_fields, "unknown", "", "Q"]),
        st.sampled_from(["", "a", "5", "-1", " 7", "1.0", "null", "true", "v1/3", "V_1", "rrf", "text only", "a" * 600, "é\u0301\ud7ff", "\x00"]),
    ),
    max_size=6,
)  # fmt: skip


@given(
    st.lists(st.sampled_from([*"=&+%;a?#\xe9", "%C3", "%E1%BB%9D", "%zz", "%26", "q=", "%00", "&&"]), max_size=12).map(
        "".join
    )
)
def test_pairs_of_an_address_are_taken_apart_as_starlette_does_it(address):
    query = address.encode("latin-1")
    assert list(pairs_of(query)) == parse_qsl(query.decode("latin-1"), keep_blank_values=True)


def test_an_address_is_read_as_the_route_reads_it():
    client = reading()

    @given(PAIRS)
    @hypothesis_settings(max_examples=150, deadline=None, derandomize=True, database=None)
    def alike(pairs):
        by_route, quick = client.get("/", params=pairs), client.get("/quick", params=pairs).json()
        assert quick == (by_route.json() if by_route.status_code == 200 else None)

    alike()


# -- logs and the garbage collector


def test_who_does_not_read_the_log_holds_up_nobody():
    import logging

    class Stuck(io.StringIO):
        def write(self, text):
            gate.wait(60)
            return super().write(text)

    import threading

    gate, stream = threading.Event(), Stuck()
    lines = Lines(stream)
    lines.setFormatter(logging.Formatter("%(message)s"))
    tell = lambda text: lines.emit(logging.LogRecord("khung", logging.INFO, "", 0, text, None, None))  # noqa: E731
    deadline = time.monotonic() + 60
    tell("line 0")
    while lines._waiting:  # until it is being written, which takes for ever
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for n in range(1, 12_000):  # more than wait
        tell(f"line {n}")
    gate.set()
    while "log_lines_dropped" not in stream.getvalue():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert stream.getvalue().startswith("line 0\nline 1\n")


class Knot:
    def __init__(self):
        self.itself = self


def test_what_dies_in_a_cycle_is_found_when_nobody_searches(monkeypatch):
    monkeypatch.setattr("khung.api.collector.EVERY_S", 0.0)
    collector, knot = Collector(), Knot()
    assert not collector.look_at_everything()  # nothing was put away
    alive = weakref.ref(knot)
    try:
        collector._heard("start", {"generation": 2})
        time.sleep(0.02)
        collector._heard("stop", {"generation": 2})
        del knot
        gc.collect()
        assert alive() is not None and gc.get_freeze_count()
        assert collector.look_at_everything()
        assert alive() is None
    finally:
        gc.unfreeze()
