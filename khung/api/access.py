"""Who may do what: a key by `Authorization: Bearer`, or the cookie that a browser got for one; and which scope an address needs.

Decided before a body is read or a route is found, by one table with a closed default. Without any key (a laptop) everyone at
the door may do everything; docs/decisions/0070 says why it is built like this.
"""

import time
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any, Literal

from fastapi import Request
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import Scope

from khung.api.hosts import Hosts
from khung.api.keys import SCOPES, Key, KeyRing
from khung.api.problems import documented
from khung.api.rates import Rate
from khung.api.signing import Forged, Signer
from khung.errors import AccessDenied, ConfigError
from khung.settings import Settings

COOKIE = "khung_login"
LOGIN_S = 30 * 86400
_PURPOSE = "login"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

OPEN = ("/health", "/ready", "/login", "/logout", "/static/")
NEEDS: tuple[tuple[str, str, str], ...] = (  # method (empty: any), beginning of the path, scope; the first that fits
    ("", "/metrics", "admin"),
    ("", "/v1/snapshots", "admin"),
    ("", "/v1/uploads", "upload"),
    ("POST", "/library", "upload"),
    ("", "/v1/contest", "contest"),
    ("", "/contest", "contest"),
    *(("", f"/v1/{room}", "search") for room in (
        "search", "suggest", "facets", "feedback", "frames", "videos", "images", "query-images", "library", "status",
        "answer-file", "openapi.json",
    )),
    *(("", f"/{page}", "search") for page in ("frame", "video", "library", "by-image", "docs")),
)  # fmt: skip
SEARCHES = (
    "/by-image", "/library",
    *(f"/v1/{room}" for room in ("search", "feedback", "frames", "query-images", "answer-file", "facets", "suggest", "library")),
)  # fmt: skip


_REMEMBERED = 200  # characters of a path; a longer one is not worth the memory


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `id` is the key's, empty where no key is needed."""

    id: str = ""
    scopes: tuple[str, ...] = SCOPES


ANYONE = Caller()


@dataclass(frozen=True, slots=True)
class Rule:
    """What an address needs: a scope, or none, and the rate that it counts for, if any."""

    scope: str
    rate: Literal["", "searches", "uploads"]


def rule_of(method: str, path: str) -> Rule:
    """The rule for an address, found once for those that are asked again and again."""
    verb = "POST" if method not in _SAFE else method
    return _remembered(verb, path) if len(path) <= _REMEMBERED else _rule(verb, path)


def _rule(verb: str, path: str) -> Rule:
    scope = needed(verb, path)
    if scope == "upload":
        return Rule(scope, "uploads" if verb == "POST" else "")  # to ask how far they are is none
    searches = path == "/" or any(_under(path, beginning) for beginning in SEARCHES)
    return Rule(scope, "searches" if searches else "")


_remembered = lru_cache(maxsize=4096)(_rule)


def needed(method: str, path: str) -> str:
    """The scope for an address; empty where none is needed. What nobody thought of needs `admin`."""
    if path == "/":
        return "search"
    if any(_under(path, beginning) for beginning in OPEN):
        return ""
    fits = (scope for verb, beginning, scope in NEEDS if verb in ("", method) and _under(path, beginning))
    return next(fits, "admin")


def _under(path: str, beginning: str) -> bool:
    return path == beginning or path.startswith(beginning if beginning.endswith("/") else beginning + "/")


class Access:
    """One per application. Raises ConfigError when the file of keys is damaged or a rate is none."""

    def __init__(self, settings: Settings, signer: Signer) -> None:
        self.ring = KeyRing(settings.keys_path)
        self._mode, self._public = settings.serve.keys, not is_loopback(settings.host)
        self._signer = signer
        self._hosts = None if self._public else Hosts(settings.serve.hosts)
        share = settings.serve.workers
        self._rates = {
            "searches": Rate(settings.serve.search_rate, share=share),
            "uploads": Rate(settings.serve.upload_rate, share=share),
        }
        self._failures = Rate(settings.serve.failure_rate, share=share)

    @property
    def required(self) -> bool:
        """Is a key needed? By itself as soon as there is one, and on any address that others may reach."""
        if self._mode == "auto":
            return self._public or not self.ring.empty
        return self._mode == "required"

    def admit(self, scope: Scope) -> Caller:
        """The caller, who may do this. Raises AccessDenied, TooMany, and HTTPException for a name that is none of khung's."""
        rule, caller = rule_of(scope["method"], scope["path"]), ANYONE
        if rule.scope and self.required:
            caller = self._identify(scope)
        elif rule.scope and self._hosts:
            self._hosts.check(scope)
        if rule.scope and rule.scope not in caller.scopes and "admin" not in caller.scopes:
            error = AccessDenied(f"This key has not the scope “{rule.scope}”.", status=403, cure="Use one that has it.")
            raise error.known_as("no_scope", scope=rule.scope)
        if rule.rate:
            self._rates[rule.rate].take(caller.id or peer(scope))
        return caller

    def _identify(self, scope: Scope) -> Caller:
        headers = Headers(scope=scope)
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and given:
            key = self.ring.find(given.strip())
        else:
            key = self._logged_in(cookie_parser(headers.get("cookie", "")).get(COOKIE, ""))
        if key is None:
            if given:
                self._failures.take(peer(scope))
            raise AccessDenied(
                "This address needs a key that is valid.", cure="Send it as “Authorization: Bearer khung_…”."
            )
        return Caller(key.id, key.scopes)

    # -- browsers

    def login(self, scope: Scope, whole: str) -> str:
        """The cookie's value for a good key. Raises AccessDenied, TooMany."""
        self._failures.take(peer(scope))
        key = self.ring.find(whole.strip())
        if key is None:
            raise AccessDenied("This key is not valid.", cure="Ask whoever runs khung for one.")
        return self._signer.seal(_PURPOSE, [key.id, int(time.time()) + LOGIN_S])

    def _logged_in(self, token: str) -> Key | None:
        """The key behind a cookie, if it is still good: revoking a key ends its logins, too."""
        try:
            key_id, until = self._signer.open(_PURPOSE, token) if token else ("", 0)
        except (Forged, ValueError):
            return None
        return self.ring.by_id(key_id) if until > time.time() else None


def check_public(settings: Settings) -> None:
    """Raises ConfigError rather than serve strangers without asking who they are, or begin with keys or rates that are none."""
    access = Access(settings, Signer.of(settings))
    if is_loopback(settings.host) or settings.serve.keys == "off" or not access.ring.empty:
        return
    raise ConfigError(
        f"Everyone who reaches {settings.host} could search and upload, for there is no key.",
        cure="Make one: khung keys create NAME. Or let everyone in on purpose: KHUNG_SERVE_KEYS=off",
    )


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def peer(scope: Scope) -> str:
    """The other end's address. `X-Forwarded-For` counts only where the server trusts the proxy, which it then has put here. Of IPv6
    the network of 64 bits: who has one address of it has all."""
    client = scope.get("client")
    return _network(client[0]) if client else ""


@lru_cache(maxsize=10_000)
def _network(address: str) -> str:
    if ":" not in address:
        return address
    try:
        of = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(of.ipv4_mapped or IPv6Network((of, 64), strict=False))


def owner_of(request: Request) -> str:
    """The id of the key that asks; empty without."""
    caller = request.scope.get("state", {}).get("caller")
    return caller.id if caller else ""


def describe_access(openapi: dict[str, Any]) -> None:
    """Tell the description of the API which scope each operation needs, and how it is refused."""
    openapi["components"]["securitySchemes"] = {
        "key": {
            "type": "http",
            "scheme": "bearer",
            "description": "A key of `khung keys create`, where keys are asked for.",
        }
    }
    refusals = documented(401, 403, 421, 429)
    for path, operations in openapi["paths"].items():
        for method, operation in operations.items():
            if scope := needed("POST" if method in ("put", "delete") else method.upper(), path):
                operation["security"] = [{}, {"key": []}]
                operation["x-khung-scope"] = scope
                operation["responses"] |= {str(status): told for status, told in refusals.items()}
