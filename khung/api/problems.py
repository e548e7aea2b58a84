"""khung's errors as RFC 9457 problems: the one place where an error becomes an HTTP answer.

What lives here: the table error → status, the handlers, the documented answers for OpenAPI. What does not: any decision
about what is an error; that is khung.errors and the rooms below.
"""

import http
import logging
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from khung import errors
from khung.api.headers import HEADERS

log = logging.getLogger("khung.api")

MEDIA_TYPE = "application/problem+json"
_LONGEST_NAME = 200  # characters that are said of a name that a stranger made up
OUTAGE_S = 5  # until what is down or not there yet is worth another try
_MOST_FIELDS = 20  # are told of; who sends ten thousand wrong ones does not get ten thousand sentences

TABLE: tuple[tuple[type[errors.KhungError], int, str], ...] = (  # the most specific first
    (errors.CursorRefused, 400, "Cursor refused"),
    (errors.CursorExpired, 410, "Cursor expired"),
    (errors.QueryError, 422, "Query not understood"),
    (errors.MediaError, 422, "Media refused"),
    (errors.NotFound, 404, "Not found"),
    (errors.PublishConflict, 409, "Conflict"),
    (errors.AnswerError, 422, "Answer refused"),
    (errors.SubmissionRejected, 409, "Submission refused"),
    (errors.ContestLoginNeeded, 401, "Contest login needed"),
    (errors.ContestError, 502, "Contest server"),
    (errors.AccessDenied, 401, "Access denied"),
    (errors.TooMany, 429, "Too many requests"),
    (errors.Overloaded, 503, "Too busy"),
    (errors.SearchUnavailable, 503, "Search unavailable"),
    (errors.ModelError, 503, "Model unavailable"),
    (errors.StoreError, 503, "Store unavailable"),
    (errors.KhungError, 500, "Internal error"),
)


class FieldProblem(BaseModel):
    """One part of the request that was refused."""

    where: str = Field(description="the place, e.g. `query.limit`", examples=["query.limit"])
    message: str = Field(examples=["Input should be less than or equal to 200"])


class Problem(BaseModel):
    """RFC 9457. `cure` says what helps; `errors` names the refused parts of the request; `code` and `values` are for those who say it
    in another language."""

    type: str = Field(examples=["urn:khung:problem:not-found"])
    title: str = Field(examples=["Not found"])
    status: int = Field(examples=[404])
    detail: str = Field("", examples=["There is no frame L21_V001/42."])
    cure: str = Field("", examples=["Ask /v1/videos for what there is."])
    errors: list[FieldProblem] = []
    code: str = Field("", description="a stable name of the detail, if it has one", examples=["no_frame"])
    values: dict[str, str] = Field({}, description="what the detail tells of", examples=[{"frame": "L21_V001/42"}])


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's `responses` for these statuses: every one a Problem."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": http.HTTPStatus(status).phrase, "content": content} for status in statuses}


def problem_of(error: Exception) -> Problem:
    """The Problem that an exception stands for. An unknown one tells nothing of its insides, a store's nothing of hosts and paths: the log does."""
    if isinstance(error, errors.KhungError):
        status, title = next((status, title) for kind, status, title in TABLE if isinstance(error, kind))
        if isinstance(error, errors.AccessDenied):
            status = error.status
        message, cure = error.told
        if message != error.message:
            log.warning("kept_from_strangers", extra={"reason": str(error)})
        return _problem(status, title, message, cure, code=error.code, values=error.values)
    if isinstance(error, RequestValidationError):
        fields = [
            FieldProblem(
                where=".".join(map(str, e["loc"]))[:_LONGEST_NAME], message=e["msg"].removeprefix("Value error, ")
            )
            for e in error.errors()[:_MOST_FIELDS]
        ]
        detail = "; ".join(f"{f.where}: {f.message}" for f in fields[:3])
        return _problem(422, "Request refused", detail, fields=fields, **_named(error.errors()[0]))
    if isinstance(error, HTTPException):
        return _problem(error.status_code, http.HTTPStatus(error.status_code).phrase, str(error.detail))
    return _problem(500, "Internal error", "khung failed on this request; the log has the reason.")


def response_of(error: Exception) -> Response:
    """The whole answer: the problem, its status and the headers that belong to it."""
    problem = problem_of(error)
    return Response(problem.model_dump_json(), problem.status, headers_of(error, problem.status), MEDIA_TYPE)


def headers_of(error: Exception, status: int) -> dict[str, str]:
    """What belongs to a problem whether it is shown as JSON or as a page."""
    headers = dict(getattr(error, "headers", None) or {})
    if status == 401 and isinstance(error, errors.AccessDenied):
        headers["WWW-Authenticate"] = 'Bearer realm="khung"'
    if isinstance(error, errors.Overloaded | errors.TooMany):
        headers["Retry-After"] = str(error.retry_after_s)
    elif status == 503:
        headers["Retry-After"] = str(OUTAGE_S)
    headers["Cache-Control"] = "no-store"
    if status == 500:  # sent by the outermost layer of all, beyond khung.api.guard
        headers |= HEADERS
    return headers


def install(app: FastAPI) -> None:
    """Every error of `app` leaves as a problem: JSON for programs, a page for people."""
    for kind in (errors.KhungError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, _handle)


async def _handle(request: Request, error: Exception) -> Response:
    if not isinstance(error, errors.KhungError | RequestValidationError | HTTPException):
        log.error("request_failed", exc_info=error, extra={"error": type(error).__name__})
    page = getattr(request.app.state, "error_page", None)
    if page and not request.url.path.startswith("/v1/") and "text/html" in request.headers.get("accept", ""):
        return shown(page, request, error)
    return response_of(error)


def shown(page: Callable[[Request, Problem], Response], request: Request, error: Exception) -> Response:
    """The problem as a page, with the headers that belong to it."""
    problem = problem_of(error)
    answer = page(request, problem)
    answer.headers.update(headers_of(error, problem.status))
    return answer


def _named(first: Any) -> dict[str, Any]:
    """The code and values of the first refused part of a request."""
    where = str(first["loc"][-1])[:_LONGEST_NAME]
    if first["type"] == "string_too_long":
        return {"code": "field_too_long", "values": {"where": where, "most": str(first["ctx"]["max_length"])}}
    return {"code": "field_refused", "values": {"where": where}}


def _problem(
    status: int,
    title: str,
    detail: str,
    cure: str = "",
    *,
    fields: list[FieldProblem] | None = None,
    code: str = "",
    values: dict[str, str] | None = None,
) -> Problem:
    return Problem(
        type=f"urn:khung:problem:{title.lower().replace(' ', '-')}",
        title=title,
        status=status,
        detail=_plain(detail),
        cure=_plain(cure),
        errors=fields or [],
        code=code,
        values={name: _plain(value) for name, value in (values or {}).items()},
    )


def _plain(text: str) -> str:
    """Text that any JSON reader takes: lone surrogates replaced."""
    return text.encode("utf-8", "replace").decode()
