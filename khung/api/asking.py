"""From a request to a page of hits and back: how every route that searches is answered.

`by_address` is the short way for `GET /v1/search`, which is asked more than all else: it reads the address itself, and leaves
whatever it does not take at once to the route, which says what is wrong with it. What an answer is, answers.py and service.py know.
"""

from collections.abc import Iterable
from typing import get_origin
from urllib.parse import parse_qsl, unquote_to_bytes

from fastapi import Request
from fastapi.responses import Response
from pydantic import ValidationError
from starlette.types import Receive, Scope

from khung.api.access import owner_of
from khung.api.answers import Quick, respond
from khung.api.disconnect import while_connected
from khung.api.question import Question
from khung.api.schemas import SearchIn
from khung.api.service import Service

PATH = "/v1/search"
_LISTS = {name for name, field in SearchIn.model_fields.items() if get_origin(field.annotation) is tuple}


def question_of(query: bytes) -> SearchIn | None:
    """The question in an address, read as the route reads it; None when there is anything wrong with it."""
    values: dict[str, object] = {}
    for name, value in pairs_of(query):
        if name in _LISTS:
            values.setdefault(name, []).append(value)
        else:
            values[name] = value
    try:
        return SearchIn.model_validate(values)
    except ValidationError:
        return None


def pairs_of(query: bytes) -> Iterable[tuple[str, str]]:
    """Names and values as Starlette reads them, the quick way for an address as browsers and programs write it."""
    if not query.isascii():
        return parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    fields = [field.replace(b"+", b" ").partition(b"=") for field in query.split(b"&") if field]
    return [(_text(name), _text(value)) for name, _, value in fields]


def _text(quoted: bytes) -> str:
    return (unquote_to_bytes(quoted) if b"%" in quoted else quoted).decode("utf-8", "replace")


async def by_address(scope: Scope, receive: Receive, service: Service, owner: str) -> Quick | None:
    """The answer, if the question can be read. Raises what `Service.answer` does."""
    asked = question_of(scope["query_string"])
    if asked is None:
        return None
    scope["khung.route"] = PATH
    return await _worked_out(receive, asked, service, scope["query_string"], owner, keep=not asked.image)


async def answered(request: Request, asked: SearchIn, service: Service) -> Response:
    """The page of hits, kept for who asks under the same address. Nobody searches for a client that has gone."""
    address, owner = request.scope["query_string"], owner_of(request)
    keep = request.method == "GET" and request.scope["path"] == PATH and not asked.image
    return respond(request, await _worked_out(request.receive, asked, service, address, owner, keep=keep))


async def _worked_out(
    receive: Receive, asked: SearchIn, service: Service, address: bytes, owner: str, *, keep: bool
) -> Quick:
    question = Question.of(asked)
    service.asking[address] += 1
    try:
        answer, tail = await while_connected(receive, service.answer(asked, owner, question=question))
    finally:
        service.asking[address] -= 1
        if not service.asking[address]:
            del service.asking[address]
    quick = Quick.of(answer, tail, address, question, service.serving.fingerprint, owner)
    if not asked.cursor:
        if not asked.image:
            service.popular.again(question)
        if keep:
            service.quick.put(address, owner, quick)
    return quick


def renewed(quick: Quick, service: Service, address: bytes, owner: str) -> Quick:
    """The same answer with a new cursor."""
    tail = quick.answer.tail(service.signer, quick.question, owner)
    fresh = Quick.of(quick.answer, tail, address, quick.question, quick.fingerprint, owner)
    service.quick.put(address, owner, fresh)
    return fresh
