"""One request to a DRES server and what its failure means. Nothing is retried, least of all a submission.

Each request has its own connection: a submission on a kept connection that the server has just closed could not be told from
one that arrived. What does not live here: which requests there are (dres).
"""

import asyncio
import logging
import re
import ssl
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Literal

import httpx
from pydantic import TypeAdapter, ValidationError

from khung.contest.submission import one_line
from khung.contest.wire import Status
from khung.errors import (
    ConfigError,
    ContestError,
    ContestLoginNeeded,
    ContestUnavailable,
    DeliveryUnknown,
    SubmissionRejected,
)

Carrier = Literal["query", "cookie", "none"]  # how the OpenAPI document carries the session of an operation

_CURES = {
    400: "Check that the task is running and that the answer fits it.",
    403: "The organisers do not show this to participants; ask them.",
    404: "Check that the task is running and that the item's name is exact.",
    412: "A rule of the task refused it: a duplicate, too many, or not the kind of answer. Nothing was counted.",
}
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
_NO_COOKIES = DefaultCookiePolicy(allowed_domains=())  # keep none: a session goes only where `call` puts it
_SESSION = re.compile(r"(?<=[?&]session=)[^&\s\"]+")


def _hide_session(record: logging.LogRecord) -> bool:
    """httpx logs whole addresses; whoever reads a log must not get the session."""
    record.msg, record.args = _SESSION.sub("…", record.getMessage()), ()
    return True


logging.getLogger("httpx").addFilter(_hide_session)


class Transport:
    """Requests below `{server}/api/v2/`. `timeout_s` bounds the whole request; half of it, the connecting."""

    def __init__(self, server: str, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._http = httpx.AsyncClient(
            base_url=_address(server).rstrip("/") + "/api/v2/",
            verify=_tls(),
            timeout=httpx.Timeout(timeout_s, connect=timeout_s / 2),
            limits=httpx.Limits(max_keepalive_connections=0),
            cookies=CookieJar(_NO_COOKIES),
        )

    async def call(
        self,
        method: str,
        path: str,
        reply: Any,
        *,
        session: str = "",
        carrier: Carrier = "query",
        body: Any = None,
        counts: bool = False,
    ) -> Any:
        """The reply, validated as the type `reply`. `counts`: a submission, so a lost answer is DeliveryUnknown."""
        request = self._http.build_request(
            method,
            path,
            params={"session": session} if carrier == "query" else None,
            headers={"Cookie": f"SESSIONID={session}"} if carrier == "cookie" else None,
            json=body,
        )
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._http.send(request)
        except _NOT_SENT as error:
            cure = "Check the network and the server's address. Nothing was sent."
            away = ContestUnavailable(f"The contest's server cannot be reached ({_name(error)}).", cure=cure)
            raise away.known_as("dres_unreachable") from error
        except (httpx.HTTPError, TimeoutError) as error:
            raise _lost(f"The contest's server gave no answer ({_name(error)}).", counts) from error
        if not response.is_success:
            raise _refusal(response, counts)
        try:
            return _reader(reply).validate_json(response.content)
        except ValidationError as error:
            raise _lost("The contest's server answered something that is not DRES.", counts) from error

    async def aclose(self) -> None:
        await self._http.aclose()


def _address(server: str) -> str:
    try:
        url = httpx.URL(server)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigError(f"“{server}” is no address of a DRES server.", cure="Set KHUNG_CONTEST_SERVER=https://…")
    return server


@cache
def _tls() -> ssl.SSLContext:
    """Reading the certificates takes longer than a request, so once for all operators."""
    return httpx.create_ssl_context()


@cache
def _reader(reply: Any) -> TypeAdapter[Any]:
    return TypeAdapter(reply)


def _name(error: Exception) -> str:
    return type(error).__name__


def _lost(message: str, counts: bool, status: int = 0, said: str = "") -> ContestUnavailable:
    """Whether it arrived is not known: harmless for a question, not for a submission."""
    if counts:
        cure = "It may have counted: look at DRES's own page before sending it again."
        return DeliveryUnknown(message, status=status, cure=cure).known_as("dres_may_have_counted", said=said)
    cure = "Check the network, then ask again."
    return ContestUnavailable(message, status=status, cure=cure).known_as("dres_silent", said=said)


def _refusal(response: httpx.Response, counts: bool) -> ContestError:
    status, words = response.status_code, _description(response)
    message, said = f"The contest's server said {status}: {words}", f"{status}: {words}"
    if status == 401:
        error: ContestError = ContestLoginNeeded(message, status=status, cure="Log in again; check name and password.")
        return error.known_as("dres_401", said=said)
    if status >= 500:
        return _lost(message, counts, status, said)
    if 300 <= status < 400:
        error = ContestError(message, status=status, cure="Set KHUNG_CONTEST_SERVER to the address it names.")
        return error.known_as("dres_moved", said=said)
    kind = SubmissionRejected if counts else ContestError
    error = kind(message, status=status, cure=_CURES.get(status, "Ask the organisers."))
    return error.known_as(f"dres_{status}" if status in _CURES else "dres_refused", said=said)


def _description(response: httpx.Response) -> str:
    """The server's own words; a stranger's text, so short and in one line."""
    try:
        words = Status.model_validate_json(response.content).description
    except ValidationError:
        words = response.headers.get("Location", "") or response.reason_phrase
    return one_line(words)[:300]
