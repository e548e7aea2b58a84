"""Faults of serving, over real sockets: herds, overload, clients that hang up or never speak, clocks that jump, hostile text.

Rows are those of docs/faults.md, which says where each is tested.
"""

import asyncio
import http.client
import socket
import threading
import time
from urllib.parse import quote

import httpx
import psutil
import pytest

from khung.api.app import create_app
from khung.api.protocol import PatientProtocol
from tests.support.effort import counted
from tests.support.patience import until
from tests.support.served import served
from tests.support.small_home import ColourEmbedder


class Gated(ColourEmbedder):
    """Counts the questions that it encodes, each when it is let."""

    def __init__(self):
        self.gate, self.calls, self.lock = threading.Event(), 0, threading.Lock()
        self.gate.set()  # while the engine is opened

    def embed_texts(self, texts):
        with self.lock:
            self.calls += 1
        assert self.gate.wait(60)
        return super().embed_texts(texts)


@pytest.fixture
def gated(settings):
    """`(address, application, encoder)`; two threads search, four may wait."""
    serve = settings.serve.model_copy(update={"search_threads": 2, "queue_depth": 4, "search_rate": ""})
    embedder = Gated()
    app = create_app(settings.model_copy(update={"serve": serve}), embedder=embedder)
    with served(app) as address:
        embedder.gate.clear()
        embedder.calls = 0
        yield address, app, embedder
        embedder.gate.set()


def ask(address, questions):
    """The answers to all questions, asked at once."""

    async def story():
        bounds = httpx.Limits(max_connections=600, max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=address, limits=bounds, timeout=120) as client:
            return await asyncio.gather(*(client.get("/v1/search", params=q) for q in questions))

    return asyncio.run(story())


def in_thread(work):
    """The work in a thread; `join` gives its result."""
    box = []
    thread = threading.Thread(target=lambda: box.append(work()))
    thread.start()
    return lambda: (thread.join(120), box[0])[1]


def test_row_29_a_thundering_herd_is_one_search(gated):
    address, app, embedder = gated
    join = in_thread(lambda: ask(address, [{"q": "người trong văn phòng"}] * 500))
    flights = app.state.service.desk._flights
    until(lambda: sum(len(flight.waiting) for flight in list(flights.values())) == 500)
    embedder.gate.set()
    answers = join()
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["took_ms"] for answer in answers}) == 1
    assert embedder.calls == 1


def test_row_26_beyond_the_queue_is_turned_away_and_health_answers(gated):
    address, app, embedder = gated
    join = in_thread(lambda: ask(address, [{"q": f"người {n}"} for n in range(18)]))
    until(lambda: app.state.service.desk.in_flight == 6)
    assert httpx.get(f"{address}/health", timeout=60).status_code == 200
    embedder.gate.set()
    answers = join()
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {200, 503} and statuses.count(200) >= 6
    for answer in answers:
        if answer.status_code == 503:
            assert int(answer.headers["retry-after"]) >= 1 and answer.json()["title"] == "Too busy"


def test_row_28_who_hangs_up_is_not_searched_for(gated):
    address, app, embedder = gated
    desk = app.state.service.desk
    host, port = "127.0.0.1", int(address.rpartition(":")[2])

    def send(n):
        client = socket.create_connection((host, port))
        client.sendall(f"GET /v1/search?q=hang{n} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return client

    clients = [send(n) for n in range(6)]
    until(lambda: desk.in_flight == 6 and embedder.calls == 2)
    for client in clients:
        client.close()
    until(lambda: desk.in_flight == 2)  # those that had a thread; the four that waited are called off
    embedder.gate.set()
    until(lambda: desk.in_flight == 0)
    until(lambda: len(app.state.service.asking) == 0)  # nor does anything of them wait in the event loop
    assert embedder.calls == 2
    assert httpx.get(f"{address}/v1/search", params={"q": "phố"}, timeout=60).status_code == 200


def test_row_28_a_stream_that_is_left_leaves_nothing(gated):
    address, app, embedder = gated
    with httpx.stream("GET", f"{address}/v1/search/stream", params={"q": "người"}, timeout=60) as answer:
        assert next(answer.iter_lines()) == "event: parsed"
    embedder.gate.set()
    until(lambda: app.state.service.desk.in_flight == 0)


def test_row_27_a_thousand_silent_clients_and_slowloris_stop_nobody(settings, monkeypatch):
    monkeypatch.setattr(PatientProtocol, "header_timeout_s", 1.0)
    app = create_app(settings, embedder=ColourEmbedder())
    with served(app) as address:
        where = ("127.0.0.1", int(address.rpartition(":")[2]))
        before = psutil.Process().num_fds()
        silent = [socket.create_connection(where) for _ in range(1000)]
        for client in silent[:200]:  # these have asked once, and stay
            client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        slow = [socket.create_connection(where) for _ in range(50)]
        for client in slow:
            client.sendall(b"GET /v1/search?q=a HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        with httpx.Client(base_url=address, timeout=60) as client:
            for _ in range(5):
                assert client.get("/health").status_code == 200
                assert client.get("/v1/search", params={"q": "phố"}).status_code == 200
        slow[0].settimeout(60)
        told = b""
        while chunk := slow[0].recv(1000):
            told += chunk
        assert told.startswith(b"HTTP/1.1 408")
        for client in (*silent, *slow):
            client.settimeout(60)
            while client.recv(1000):  # the server closes each: none is kept
                pass
            client.close()
        until(lambda: psutil.Process().num_fds() < before + 50)


def test_row_27_a_head_without_end_is_cut_off(settings):
    with served(create_app(settings, embedder=ColourEmbedder())) as address:
        client = socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])))
        client.settimeout(60)
        client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n")
        try:
            for n in range(10_000):
                client.sendall(f"X-{n}: {'y' * 1000}\r\n".encode())
        except (BrokenPipeError, ConnectionResetError):
            pass
        else:
            raise AssertionError("ten megabytes of headers were taken")
        finally:
            client.close()
        assert httpx.get(f"{address}/health", timeout=60).status_code == 200


def test_row_34_a_megabyte_of_question_is_refused(client, settings):
    long = "x" * 2**20
    assert client.get("/v1/search", params={"q": "x " * 20_000}).status_code == 422
    assert client.post("/v1/search", json={"q": long}).status_code == 413
    with served(create_app(settings, embedder=ColourEmbedder())) as address:

        def status(size):
            raw = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
            try:
                raw.request("GET", "/v1/search?q=" + "x" * size)
                return raw.getresponse().status
            except (BrokenPipeError, ConnectionResetError):
                return 431  # it was cut off before all was sent
            finally:
                raw.close()

        assert status(60_000) == 422
        assert status(200_000) == 400  # longer than any address may be
        assert status(2**22) in (400, 431)


FIFTY = " rồi ".join(["người"] * 50)
LONG = [
    ("GET", "/v1/search", f"q={quote('x ' * 16_000)}", b""),
    ("GET", "/v1/search", f"q={quote(FIFTY)}", b""),
    ("GET", "/v1/search", "q=x" + "&then=y" * 900, b""),
    ("GET", "/v1/suggest", f"q={quote('rồi ' * 4_000)}", b""),
    ("POST", "/v1/search", "", b'{"q": "' + b"x " * 2**19 + b'"}'),
    ("POST", "/v1/search", "", b'{"q": "' + "rồi ".encode() * 20_000 + b'"}'),
    ("POST", "/v1/search", "", b'{"q": "x", "then": [' + b'"y",' * 20_000 + b'"z"]}'),
    ("POST", "/v1/feedback", "", b'{"q": "x", "more": [' + b'"y",' * 20_000 + b'"z"]}'),
]


@pytest.mark.parametrize(("method", "path", "query", "body"), LONG, ids=[str(n) for n in range(len(LONG))])
def test_row_34_it_is_refused_at_once(client, method, path, query, body):
    """Whatever its size, for the work that a short question takes to be refused: nothing is done for nothing."""
    headers = [
        (b"host", b"localhost"),
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]

    async def refused() -> tuple[int, int]:
        scope = {
            "type": "http", "http_version": "1.1", "method": method, "path": path, "raw_path": path.encode(), "scheme": "http",
            "root_path": "", "query_string": query.encode(), "headers": headers, "client": ("127.0.0.1", 1), "server": ("localhost", 80),
        }  # fmt: skip
        told = []
        parts = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive():
            return parts.pop() if parts else await asyncio.sleep(600)

        async def send(message):
            told.append(message)

        with counted() as effort:
            await client.app(scope, receive, send)
        return told[0]["status"], effort.calls

    client.portal.call(refused)  # what is worked out once is not counted
    status, calls = client.portal.call(refused)
    assert status in (413, 422)
    assert calls < 3000 + 40 * query.count("&")  # of which there may be a thousand


@pytest.mark.parametrize("jump", [3600, -3600])
def test_row_30_a_clock_that_jumps_harms_nothing(settings, monkeypatch, jump):
    from fastapi.testclient import TestClient

    now = time.time
    serve = settings.serve.model_copy(update={"search_rate": "1000/hour"})
    mine = settings.model_copy(update={"serve": serve})
    with TestClient(create_app(mine, embedder=ColourEmbedder()), raise_server_exceptions=False) as client:
        asked = {"q": "người", "limit": 3}
        first = client.get("/v1/search", params=asked).json()
        monkeypatch.setattr(time, "time", lambda: now() + jump)
        again = client.get("/v1/search", params=asked).json()
        assert again == first  # kept, and by no wall clock
        fresh = client.get("/v1/search", params={"q": "phố xá", "limit": 3}).json()
        assert 0 <= fresh["took_ms"] < 60_000
        assert client.get("/v1/search", params=asked | {"cursor": first["next"]}).status_code == 200
        for line in client.get("/metrics").text.splitlines():
            if not line.startswith("#") and line.split(" ")[0].rpartition("{")[0].endswith("seconds_sum"):
                assert float(line.rsplit(" ", 1)[1]) >= 0


INJECTIONS = [
    "' OR 1=1; DROP TABLE frames; --", '{"$gt": ""}', '"}],"size":10000,"query":{"match_all":{}}', "vi_key:* OR _exists_:x",
    "${jndi:ldap://x/a}", "{{7*7}}", "../../etc/passwd", "%00%0a%0d", "/.*(a+)+$/", "title:[* TO *]", "\\u0000\\", "`id`", "a\r\nSet-Cookie: x=1",
]  # fmt: skip


@pytest.mark.parametrize("text", INJECTIONS)
def test_row_39_injections_are_words(client, text):
    answer = client.get("/v1/search", params={"q": text, "limit": 5})
    assert answer.status_code in (200, 422)
    assert "set-cookie" not in answer.headers
    for field in ("place", "object", "color"):
        filtered = client.get("/v1/search", params={"q": "người", field: text[:64]})
        assert filtered.status_code in (200, 422) and not (filtered.status_code == 200 and filtered.json()["hits"])
    assert client.get("/v1/facets", params={"object": text[:64]}).status_code in (200, 422)


UNICODE = [
    "ng\u01b0\u1eddi", "ngu\u031bo\u031b\u0300i", "NGƯỜI", "ng\u200bười", "ng\u200dười", "\u202eiờưgn", "người\u0000", "n\ufeffgười", "😀người",
    "ｎｇười", "người" + "\u0301" * 200, "\ud800", "\udfff người", "\U000e0001người", "ǆ" * 100, "ﷺ" * 100,
]  # fmt: skip


@pytest.mark.parametrize("text", UNICODE)
def test_row_35_unicode_that_hides_breaks_nothing(client, text):
    by_get = client.get("/v1/search?q=" + "".join(f"%{b:02x}" for b in text.encode("utf-8", "surrogatepass")))
    by_body = client.post("/v1/search", content=('{"q": "' + "".join(f"\\u{ord(c):04x}" if ord(c) < 0x10000 else c for c in text) + '"}').encode("utf-8", "surrogatepass"), headers={"content-type": "application/json"})  # fmt: skip
    assert by_get.status_code in (200, 422) and by_body.status_code in (200, 400, 422)
    for answer in (by_get, by_body):
        answer.content.decode("utf-8")  # every answer is well-formed
        answer.json()


def test_row_35_forms_of_one_word_are_one_question(client):
    plain = client.get("/v1/search", params={"q": "người"}).json()["hits"]
    for text in UNICODE[:3]:
        assert client.get("/v1/search", params={"q": text}).json()["hits"] == plain


@pytest.mark.parametrize(
    "text", ["99:99", "từ -1 đến 2:00", "từ 2:30 đến 1:00", "sau 1e309 phút", "phút thứ 0", "sau 99999999999 phút"]
)
def test_row_38_times_that_cannot_be(client, text):
    answer = client.get("/v1/search", params={"q": f"người {text}"})
    assert answer.status_code in (200, 422)
    for name in ("from_ms", "to_ms"):
        for value in ("-1", "1e309", "NaN", str(2**70), "0x10"):
            assert client.get("/v1/search", params={"q": "x", name: value}).status_code == 422


@pytest.mark.parametrize("name", ["limit", "offset", "per_video"])
@pytest.mark.parametrize("value", ["-1", "1000000000", "NaN", "10; drop", "1.5", "", "١٠٠٠٠", "9" * 400])
def test_row_41_limits_are_kept(client, name, value):
    assert client.get("/v1/search", params={"q": "x", name: value}).status_code == 422


@pytest.mark.parametrize(("trusted", "status"), [("", 429), ("10.0.0.0/8", 429), ("127.0.0.1", 200)])
def test_row_58_a_forwarded_address_counts_only_from_a_trusted_proxy(settings, trusted, status):
    serve = settings.serve.model_copy(update={"search_rate": "1/hour"})
    app = create_app(settings.model_copy(update={"serve": serve}), embedder=ColourEmbedder())
    with served(app, proxy_headers=bool(trusted), forwarded_allow_ips=trusted) as address:
        told = [
            httpx.get(f"{address}/v1/search?q=a", headers={"x-forwarded-for": peer}, timeout=60).status_code
            for peer in ("1.1.1.1", "2.2.2.2")
        ]
    assert told == [200, status]


def test_row_59_logs_hold_no_key_no_question_and_one_line_each(client, khung_log):
    headers = {"authorization": "Bearer khung_00000000_secretsecret", "user-agent": 'x"\nlevel=error'}
    client.get("/v1/search", params={"q": 'lộ\r\n{"level":"fatal"}'}, headers=headers)
    client.get('/v1/videos/a%0a{"level":"fatal"}', headers=headers)
    client.request("BREW", "/health")
    lines = list(khung_log)
    text = "\n".join(lines)
    assert len(lines) == len(text.split("\n"))
    assert "secret" not in text and "fatal" not in text and "lộ" not in text


def test_row_60_no_question_path_or_method_makes_a_series(client):
    def series():
        return {line.rpartition(" ")[0] for line in client.get("/metrics").text.splitlines() if line[0] != "#"}

    client.get("/metrics")
    client.get("/nowhere/0")
    client.get("/v1/frames/nobody/0")
    client.request("BREW0", "/health")
    client.get("/v1/search", params={"q": "nổ 0"})
    client.get("/v1/search", params={"q": "nổ 0"})
    before = series()
    for n in range(1, 30):
        client.get(f"/nowhere/{n}")
        client.get(f"/v1/frames/nobody{n}/{n}")
        client.get(f"/static/{n}")
        client.request(f"BREW{n}", "/health")
        client.get("/v1/search", params={"q": f"nổ {n}"})
    assert len(series() - before) <= 40  # the buckets of at most two new pairs of route and status
    assert not any(f"nowhere/{n}" in one or f"nobody{n}" in one for one in series() for n in (1, 29))
