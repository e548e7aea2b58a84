"""Keys and scopes: who may do what at which address, how soon a revoked key is refused, how a browser comes in, how often."""

import json

import pytest
from fastapi.testclient import TestClient
from starlette.routing import Mount, Route

from khung.api import keys
from khung.api.access import Access, check_public, is_loopback, needed
from khung.api.app import create_app
from khung.api.keys import LOOK_S, SCOPES, KeyRing
from khung.api.rates import Rate
from khung.api.routes.pages import local
from khung.errors import ConfigError, NotFound, TooMany
from tests.support.small_home import ColourEmbedder

PAGE = {"accept": "text/html"}


@pytest.fixture(scope="module")
def locked(settings, tmp_path_factory):
    """The small home behind keys, one of each scope, and one that has ended."""
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    made = {scope: keys.create(path, f"of {scope}", [scope])[0] for scope in SCOPES}
    made["ended"] = keys.create(path, "of yesterday", ["admin"], days=1e-9)[0]
    serve = settings.serve.model_copy(update={"keys_file": path, "search_rate": "", "failure_rate": ""})
    mine = settings.model_copy(update={"serve": serve})
    with TestClient(create_app(mine, embedder=ColourEmbedder()), raise_server_exceptions=False) as client:
        yield client, made, path


def bearer(key):
    return {"authorization": f"Bearer {key}"}


ADDRESSES = [  # method, address, the scope that opens it; empty: open to all
    ("GET", "/health", ""),
    ("GET", "/ready", ""),
    ("GET", "/login", ""),
    ("GET", "/static/khung.css", ""),
    ("GET", "/", "search"),
    ("GET", "/v1/search?q=ph", "search"),
    ("GET", "/v1/search/stream?q=ph", "search"),
    ("POST", "/v1/search", "search"),
    ("GET", "/v1/facets", "search"),
    ("GET", "/v1/frames/cockatoo_cc0/0", "search"),
    ("GET", "/v1/videos", "search"),
    ("GET", "/v1/videos/cockatoo_cc0/media", "search"),
    ("GET", "/v1/images/cockatoo_cc0/0/thumb.webp", "search"),
    ("GET", "/v1/openapi.json", "search"),
    ("GET", "/docs", "search"),
    ("GET", "/library", "search"),
    ("GET", "/v1/library", "search"),
    ("POST", "/library", "upload"),
    ("POST", "/v1/uploads?name=a.exe", "upload"),
    ("GET", "/v1/uploads/a.mp4", "upload"),
    ("GET", "/v1/contest/now", "contest"),
    ("GET", "/contest", "contest"),
    ("GET", "/metrics", "admin"),
    ("GET", "/v1/snapshots", "admin"),
    ("GET", "/v1/nobody-thought-of-this", "admin"),
]


@pytest.mark.parametrize(("method", "url", "scope"), ADDRESSES)
def test_each_role_at_each_address(locked, method, url, scope):
    client, made, _ = locked
    ask = lambda **headers: client.request(method, url, headers=headers).status_code  # noqa: E731
    assert (ask() == 401) == bool(scope)
    for role in SCOPES:
        status = ask(**bearer(made[role]))
        allowed = not scope or role in (scope, "admin")
        assert (status not in (401, 403)) == allowed, (role, status)
    assert (ask(**bearer(made["ended"])) == 401) == bool(scope)


@pytest.mark.parametrize("given", ["", "khung_", "khung_00000000_x", "Basic abc", "\xff", "khung_" + "x" * 10_000])
def test_what_is_no_key(locked, given):
    client, made, _ = locked
    answer = client.get("/v1/videos", headers={"authorization": f"Bearer {given}".encode("latin-1")})
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    almost = made["search"][:-1] + ("A" if made["search"][-1] != "A" else "B")
    assert client.get("/v1/videos", headers=bearer(almost)).status_code == 401


def test_every_route_has_a_scope_of_its_own(locked):
    """A new route that nobody thought of would be open to `admin` only; each one here was thought of."""
    client, _, _ = locked
    admin = {"/metrics", "/v1/snapshots"}
    for route in client.app.routes:
        if isinstance(route, Route | Mount) and getattr(route, "path", ""):
            path = route.path.replace("{video_id}", "v").replace("{name}", "n")
            path += "/x" if isinstance(route, Mount) else ""
            assert needed("GET", path) != "admin" or path in admin, path


def test_a_revoked_key_is_refused_within_seconds(tmp_path):
    now = [0.0]
    whole, key = keys.create(tmp_path / "keys.json", "leaked", ["search"])
    workers = [KeyRing(tmp_path / "keys.json", clock=lambda: now[0]) for _ in range(2)]
    assert all(ring.find(whole) for ring in workers)
    keys.revoke(tmp_path / "keys.json", key.id)
    now[0] += LOOK_S
    assert not any(ring.find(whole) or ring.by_id(key.id) for ring in workers)
    assert LOOK_S <= 30


def test_a_damaged_file_locks_nobody_out_and_lets_nobody_in(tmp_path):
    now, path = [0.0], tmp_path / "keys.json"
    whole, _ = keys.create(path, "n", ["search"])
    ring = KeyRing(path, clock=lambda: now[0])
    path.write_bytes(b"{half")
    now[0] += LOOK_S
    assert ring.find(whole) and not ring.empty
    with pytest.raises(ConfigError, match="cannot be read"):
        KeyRing(path)
    with pytest.raises(ConfigError):
        keys.create(path, "another", ["search"])


def test_the_file_opens_no_door(tmp_path):
    whole, key = keys.create(tmp_path / "keys.json", "Lan", ["search", "upload"], days=30)
    text = (tmp_path / "keys.json").read_text()
    assert whole.rpartition("_")[2] not in text and key.sha256 in text
    assert len({keys.create(tmp_path / "keys.json", "n", ["admin"])[0] for _ in range(5)}) == 5
    with pytest.raises(ConfigError, match="scope"):
        keys.create(tmp_path / "keys.json", "n", ["root"])
    with pytest.raises(NotFound):
        keys.revoke(tmp_path / "keys.json", "ffffffff")


def test_a_browser_comes_in_by_a_form_and_keeps_a_cookie(locked):
    client, made, _path = locked
    sent = client.get("/?q=ph", headers=PAGE, follow_redirects=False)
    assert sent.status_code == 303 and sent.headers["location"] == "/login?next=%2F%3Fq%3Dph"
    assert client.get("/login", params={"next": "/?q=ph"}).status_code == 200
    wrong = client.post("/login", data={"key": "khung_x", "next": "/"})
    assert wrong.status_code == 401 and "khung_x" not in wrong.text
    came = client.post("/login", data={"key": made["search"], "next": "/?q=ph"}, follow_redirects=False)
    assert (came.status_code, came.headers["location"]) == (303, "/?q=ph")
    cookie = came.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and made["search"].lower() not in cookie
    try:
        assert client.get("/?q=ph", headers=PAGE).status_code == 200
        assert client.get("/v1/search", params={"q": "phố"}).status_code == 200
        assert client.get("/v1/images/cockatoo_cc0/0/thumb.webp").status_code == 200
        assert client.post("/library", files=[("files", ("a.mp4", b"1"))]).status_code == 403
        other_site = {"sec-fetch-site": "cross-site"}
        assert client.post("/v1/search", json={"q": "phố"}, headers=other_site).status_code == 403
        client.post("/logout")
        assert client.get("/v1/videos").status_code == 401
    finally:
        client.cookies.clear()


def test_a_cookie_dies_with_its_key(locked):
    client, _, path = locked
    whole, key = keys.create(path, "short", ["search"])
    access = client.app.state.access
    access.ring._looked_at -= LOOK_S
    client.post("/login", data={"key": whole}, follow_redirects=False)
    try:
        assert client.get("/v1/videos").status_code == 200
        keys.revoke(path, key.id)
        access.ring._looked_at -= LOOK_S
        assert client.get("/v1/videos").status_code == 401
    finally:
        client.cookies.clear()


@pytest.mark.parametrize(
    ("next", "to"),
    [("/?q=a", "/?q=a"), ("//evil.example", "/"), ("https://evil.example", "/"), ("/\\evil.example", "/"), ("/\n/evil", "/"), ("", "/")],
)  # fmt: skip
def test_nobody_is_sent_elsewhere(next, to):
    assert local(next) == to


def test_another_key_s_cursor_is_refused_and_its_answers_are_shared(locked):
    client, made, _ = locked
    asked = {"q": "người", "limit": 3}
    mine = client.get("/v1/search", params=asked, headers=bearer(made["search"]))
    theirs = client.get("/v1/search", params=asked, headers=bearer(made["admin"]))
    assert mine.json() | {"next": ""} == theirs.json() | {"next": ""} and mine.json()["next"] != theirs.json()["next"]
    known = bearer(made["admin"]) | {"if-none-match": mine.headers["etag"]}
    assert client.get("/v1/search", params=asked, headers=known).status_code == 200  # another key's tag is of no use
    following = asked | {"cursor": mine.json()["next"]}
    assert client.get("/v1/search", params=following, headers=bearer(made["search"])).status_code == 200
    stolen = client.get("/v1/search", params=following, headers=bearer(made["admin"]))
    assert (stolen.status_code, stolen.json()["title"]) == (400, "Cursor refused")


def test_keys_are_asked_for_when_there_is_one_or_others_can_come(settings, tmp_path):
    def access(host="127.0.0.1", mode="auto", keyed=False):
        path = tmp_path / f"{host}{mode}{keyed}.json"
        if keyed:
            keys.create(path, "n", ["search"])
        serve = settings.serve.model_copy(update={"keys_file": path, "keys": mode})
        return settings.model_copy(update={"host": host, "serve": serve})

    def required(mine):
        return Access(mine, None).required

    assert not required(access()) and required(access(keyed=True)) and required(access(mode="required"))
    assert required(access("0.0.0.0")) and not required(access("0.0.0.0", mode="off"))
    check_public(access())
    check_public(access("0.0.0.0", mode="off"))
    check_public(access("0.0.0.0", keyed=True))
    with pytest.raises(ConfigError, match="no key"):
        check_public(access("0.0.0.0"))
    assert is_loopback("::1") and is_loopback("localhost") and not is_loopback("::") and not is_loopback("example.org")


# -- rates


def test_a_rate_lets_so_many_through_and_then_one_by_one():
    now = [100.0]
    rate = Rate("3/minute", clock=lambda: now[0])
    for _ in range(3):
        rate.take("a")
    with pytest.raises(TooMany) as refused:
        rate.take("a")
    assert refused.value.retry_after_s == 20
    rate.take("b")  # another caller
    now[0] += 20
    rate.take("a")
    with pytest.raises(TooMany):
        rate.take("a")
    now[0] += 3600
    for _ in range(3):
        rate.take("a")


def test_rates_are_shared_by_workers_and_may_be_off():
    half = Rate("4/hour", share=2, clock=lambda: 0.0)
    half.take("a")
    half.take("a")
    with pytest.raises(TooMany):
        half.take("a")
    for _ in range(1000):
        Rate("").take("a")
    for wrong in ("many", "0/minute", "5/year", "-1/second"):
        with pytest.raises(ConfigError):
            Rate(wrong)


def test_too_many_searches_of_one_peer_are_refused_and_a_forged_header_makes_no_other_peer(settings):
    serve = settings.serve.model_copy(update={"search_rate": "2/hour"})
    mine = settings.model_copy(update={"serve": serve})
    with TestClient(create_app(mine, embedder=ColourEmbedder()), raise_server_exceptions=False) as client:
        for spoofed in ("1.1.1.1", "2.2.2.2"):
            headers = {"x-forwarded-for": spoofed, "forwarded": f"for={spoofed}", "x-real-ip": spoofed}
            assert client.get("/v1/search", params={"q": "phố"}, headers=headers).status_code == 200
        answer = client.get("/v1/search", params={"q": "phố"}, headers={"x-forwarded-for": "3.3.3.3"})
        assert (answer.status_code, answer.json()["title"]) == (429, "Too many requests")
        assert int(answer.headers["retry-after"]) > 0
        assert client.get("/?q=ph", headers=PAGE).status_code == 429
        assert client.get("/health").status_code == 200
        assert client.get("/v1/images/cockatoo_cc0/0/thumb.webp").status_code == 200


def test_guessing_keys_is_slowed_down(settings, tmp_path):
    keys.create(tmp_path / "keys.json", "n", ["search"])
    serve = settings.serve.model_copy(update={"keys_file": tmp_path / "keys.json", "failure_rate": "2/hour"})
    mine = settings.model_copy(update={"serve": serve})
    with TestClient(create_app(mine, embedder=ColourEmbedder()), raise_server_exceptions=False) as client:
        statuses = [client.get("/v1/videos", headers=bearer("khung_guess")).status_code for _ in range(3)]
        assert statuses == [401, 401, 429]
        assert client.post("/login", data={"key": "guess"}).status_code == 429


def test_the_description_tells_the_scopes(locked):
    client, made, _ = locked
    told = client.get("/v1/openapi.json", headers=bearer(made["search"])).json()
    assert told["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert told["paths"]["/v1/uploads"]["post"]["x-khung-scope"] == "upload"
    assert {"401", "403", "429"} <= told["paths"]["/v1/search"]["get"]["responses"].keys()
    assert json.dumps(told).count("khung_") == 0
