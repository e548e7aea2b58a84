"""From a request to a page of hits and back: how every route that searches is answered.

`by_address` is the short way for `GET /v1/search`, which is asked more than all else: it reads the address itself, and leaves
whatever it does not take at once to the route, which says what is wrong with it. What an answer is, answers.py and service.py know.
"""

from typing import get_origin

from fastapi import Request
from fastapi.responses import Response
from pydantic import ValidationError
from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope, Send

from khung.api.access import owner_of
from khung.api.answers import Quick, respond
from khung.api.disconnect import while_connected
from khung.api.schemas import SearchIn
from khung.api.service import Service

PATH = "/v1/search"
_LISTS = {name for name, field in SearchIn.model_fields.items() if get_origin(field.annotation) is list}


def question_of(query: bytes) -> SearchIn | None:
    """The question in an address, read as the route reads it; None when there is anything wrong with it."""
    values: dict[str, object] = {}
    for name, value in QueryParams(query).multi_items():
        if name in _LISTS:
            values.setdefault(name, []).append(value)
        else:
            values[name] = value
    try:
        return SearchIn.model_validate(values)
    except ValidationError:
        return None


async def by_address(scope: Scope, receive: Receive, send: Send) -> bool:
    """Answer, if the question can be read. Raises what `Service.answer` does."""
    asked = question_of(scope["query_string"])
    if asked is None:
        return False
    scope["khung.route"] = PATH
    response = await answered(Request(scope, receive), asked, scope["app"].state.service)
    await response(scope, receive, send)
    return True


async def answered(request: Request, asked: SearchIn, service: Service) -> Response:
    """The page of hits, kept for who asks under the same address. Nobody searches for a client that has gone."""
    owner, address = owner_of(request), request.scope["query_string"]
    service.asking[address] += 1
    try:
        answer, tail = await while_connected(request, service.answer(asked, owner))
    finally:
        service.asking[address] -= 1
        if not service.asking[address]:
            del service.asking[address]
    if not asked.cursor:
        service.popular.count(asked)
        if request.scope["path"] == PATH and request.method == "GET" and not asked.image:
            question = asked.model_dump_json(exclude_defaults=True)
            quick = Quick.of(answer, tail, address, question, service.serving.fingerprint, owner)
            service.quick.put(address, owner, quick)
    return respond(request, answer, tail, owner)
