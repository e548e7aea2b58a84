"""Several servers of one kind behind one `post`: deadlines, retries, a circuit breaker each. What is asked is not known here.

A server that fails several times in a row is left alone for a while, then tried with one request. One that says when to come back
(429, 503 with Retry-After) is taken at its word, up to a bound. Nothing waits longer than the request's deadline, not even for a server
that sends a byte a minute.
"""

import email.utils
import json
import logging
import random
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from khung.errors import ConfigError, ModelError, ModelUnavailable

log = logging.getLogger(__name__)
MOST_BYTES = 4 << 20  # of an answer


@dataclass(frozen=True, slots=True)
class EndpointPolicy:
    """How patient to be. Seconds."""

    connect_s: float = 5.0
    request_s: float = 120.0  # one try, from the first byte sent to the last received
    deadline_s: float = 300.0  # all tries of one request
    attempts: int = 5
    backoff_s: float = 0.5  # doubled after each failure, with jitter
    most_backoff_s: float = 15.0
    most_retry_after_s: float = 60.0
    failures_to_open: int = 4  # in a row
    open_s: float = 20.0


@dataclass(slots=True)
class _Endpoint:
    """One server's health. Guarded by the lock of Endpoints."""

    url: str
    failures: int = 0
    rest_until: float = 0.0  # monotonic
    busy: int = 0
    probing: bool = False  # half-open: one request finds out


class RequestRefused(ModelError):
    """The server understood and said no (4xx): asking again will not help."""

    def __init__(self, message: str, *, status: int, cure: str = "") -> None:
        super().__init__(message, cure=cure)
        self.status = status


class _Failed(Exception):
    """A try that another try may mend. `rest_s`: the server asked for that long; None: its own fault. `answered`: it did say
    something, so what was asked may be at fault."""

    def __init__(self, message: str, rest_s: float | None = None, *, answered: bool = True) -> None:
        super().__init__(message)
        self.rest_s, self.answered = rest_s, answered


@dataclass
class Endpoints:
    """`urls` are bases such as `http://gpu1:8000/v1`. Thread-safe. Raises ConfigError when there is none. Its connections
    end with it."""

    urls: Sequence[str]
    policy: EndpointPolicy = field(default_factory=EndpointPolicy)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    _all: list[_Endpoint] = field(init=False, repr=False)
    _client: httpx.Client = field(init=False, repr=False)
    _lock: threading.Lock = field(init=False, repr=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if not self.urls or not all(url.startswith(("http://", "https://")) for url in self.urls):
            raise ConfigError(
                "A model server's address is missing or is not http(s)://….", cure="See docs/how-to/gpu.md."
            )
        self._all = [_Endpoint(url.rstrip("/")) for url in self.urls]
        self._client = httpx.Client(headers=dict(self.headers), follow_redirects=False)
        weakref.finalize(self, self._client.close)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON object that a server answers with. Raises RequestRefused on a 4xx, ModelError when no try succeeded:
        ModelUnavailable when the last one did not even get an answer."""
        return self._call("POST", path, json.dumps(body).encode())

    def get(self, path: str) -> dict[str, Any]:
        return self._call("GET", path, None)

    def _call(self, method: str, path: str, body: bytes | None) -> dict[str, Any]:
        deadline = time.monotonic() + self.policy.deadline_s
        said, answered = "every server is resting after failures", False
        for attempt in range(self.policy.attempts):
            endpoint = self._choose(deadline)
            if endpoint is None:
                answered = False
                break
            try:
                answer = self._try(endpoint, method, path, body, deadline)
            except _Failed as failure:
                said, answered = f"{endpoint.url}: {failure}", failure.answered
                log.warning("try %d of %d failed: %s", attempt + 1, self.policy.attempts, said)
                self._failed(endpoint, failure.rest_s)
                self._pause(attempt, failure, deadline)
                continue
            except BaseException:
                self._let_go(endpoint)
                raise
            self._succeeded(endpoint)
            return answer
        kind = ModelError if answered else ModelUnavailable
        raise kind(f"No model server answered: {said}.", cure="Look at the servers, then run it again.")

    # -- which server

    def _choose(self, deadline: float) -> _Endpoint | None:
        """The least busy one that may be asked; waits for one to become so, not beyond the deadline."""
        while True:
            with self._lock:
                now = time.monotonic()
                if now >= deadline:
                    return None
                ready = [e for e in self._all if e.rest_until <= now and not e.probing]
                if ready:
                    chosen = min(
                        ready, key=lambda e: (e.failures >= self.policy.failures_to_open, e.busy, random.random())
                    )
                    chosen.busy += 1
                    chosen.probing = chosen.failures >= self.policy.failures_to_open
                    return chosen
                wake = min((e.rest_until for e in self._all if not e.probing), default=now + 0.05)
            if wake >= deadline:
                return None
            time.sleep(max(0.01, wake - now))

    def _failed(self, endpoint: _Endpoint, rest_s: float | None) -> None:
        with self._lock:
            endpoint.busy -= 1
            endpoint.probing = False
            if rest_s is None:
                endpoint.failures += 1
                rest_s = self.policy.open_s if endpoint.failures >= self.policy.failures_to_open else 0.0
            endpoint.rest_until = max(endpoint.rest_until, time.monotonic() + rest_s)

    def _succeeded(self, endpoint: _Endpoint) -> None:
        with self._lock:
            endpoint.busy -= 1
            endpoint.probing = False
            endpoint.failures = 0

    def _let_go(self, endpoint: _Endpoint) -> None:
        with self._lock:
            endpoint.busy -= 1
            endpoint.probing = False

    def _pause(self, attempt: int, failure: _Failed, deadline: float) -> None:
        """Not when the server said itself how long to rest: `_choose` waits for it, or takes another."""
        if failure.rest_s is None:
            longest = min(self.policy.most_backoff_s, self.policy.backoff_s * 2**attempt)
            time.sleep(max(0.0, min(longest * random.uniform(0.5, 1.0), deadline - time.monotonic())))

    # -- one try

    def _try(self, endpoint: _Endpoint, method: str, path: str, body: bytes | None, deadline: float) -> dict[str, Any]:
        until = min(deadline, time.monotonic() + self.policy.request_s)
        try:
            timeout = httpx.Timeout(max(0.01, until - time.monotonic()), connect=self.policy.connect_s)
            kind = {"content-type": "application/json"}
            with self._client.stream(
                method, endpoint.url + path, content=body, headers=kind, timeout=timeout
            ) as response:
                data = self._read(response, until)
        except httpx.HTTPError as error:
            raise _Failed(f"{type(error).__name__} {error}".strip(), answered=False) from error
        return self._judge(response, data)

    def _read(self, response: httpx.Response, until: float) -> bytes:
        """All of it, in time and within bounds: httpx's own time-out starts anew with every byte."""
        parts, size = [], 0
        for part in response.iter_bytes():
            size += len(part)
            if size > MOST_BYTES:
                raise _Failed(f"an answer of more than {MOST_BYTES} bytes")
            if time.monotonic() > until:
                raise _Failed("it was still sending when the time was up", answered=False)
            parts.append(part)
        return b"".join(parts)

    def _judge(self, response: httpx.Response, data: bytes) -> dict[str, Any]:
        status = response.status_code
        if status in (429, 503) and (rest := retry_after(response.headers.get("retry-after"))) is not None:
            raise _Failed(f"status {status}, come back in {rest:g} s", min(rest, self.policy.most_retry_after_s))
        if status == 429 or status >= 500:
            raise _Failed(f"status {status}")
        if status != 200:
            said = data[:400].decode("utf-8", "replace")
            raise RequestRefused(
                f"{response.url} refused with status {status}: {said}",
                status=status,
                cure="Check address, model name and key.",
            )
        try:
            answer = json.loads(data)
        except ValueError as error:
            raise _Failed(f"what it sent is not JSON: {error}") from error
        if not isinstance(answer, dict):
            raise _Failed("what it sent is not a JSON object")
        return answer


def retry_after(value: str | None) -> float | None:
    """Seconds from a Retry-After header (RFC 9110 §10.2.3: seconds or a date); None when it says nothing."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        when = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, when.timestamp() - time.time())
