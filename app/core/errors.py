"""Errors as RFC 9457 problem documents: one base class, one handler a kind."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final
from uuid import uuid4

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException as StarletteHTTPException  # noqa: TID251  # routing itself raises it
from starlette.routing import Match

from app.core.bad_fields import mending, place_in_json

MEDIA_TYPE: Final = "application/problem+json"
MOST_FIELDS: Final = 100
"""A body of a megabyte can hold a hundred thousand bad fields; the answer names so many at most."""
LONGEST_FIELD: Final = 200
METHODS: Final = ("GET", "PUT", "PATCH", "POST", "DELETE")
_log = structlog.get_logger(__name__)


class FieldError(BaseModel):
    """One bad field of a request."""

    field: str = Field(description="Where it is, e.g. `body.claim.pdf_page` or `query.limit`.")
    detail: str
    code: str


class Problem(BaseModel):
    """An RFC 9457 problem document."""

    type: str = Field(examples=["urn:paper-verdicts:problem:paper_not_found"])
    title: str
    status: int
    detail: str = Field(description="What is wrong and how to mend it.")
    code: str = Field(description="Stable; what software should look at.", examples=["paper_not_found"])
    errors: list[FieldError] | None = None


class AppError(Exception):
    """A request that cannot be answered as asked. Subclasses live with the feature that raises them."""

    status: HTTPStatus = HTTPStatus.BAD_REQUEST
    code: str = "bad_request"
    title: str = "The request cannot be answered"

    def __init__(
        self, detail: str, *, headers: Mapping[str, str] | None = None, errors: Sequence[FieldError] = ()
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = dict(headers or {})
        self.errors = list(errors)

    def document(self) -> dict[str, Any]:
        """The problem document, ready for JSON."""
        return problem(self.status, self.code, self.title, self.detail, self.errors)


def problem(
    status: HTTPStatus, code: str, title: str, detail: str, errors: Sequence[FieldError] = ()
) -> dict[str, Any]:
    """A problem document as plain data."""
    document: dict[str, Any] = {
        "type": f"urn:paper-verdicts:problem:{code}",
        "title": title,
        "status": int(status),
        "detail": detail,
        "code": code,
    }
    if errors:
        document["errors"] = [error.model_dump() for error in errors]
    return document


class ContentTypeError(AppError):
    """A body of a type that is not read here; most resources read JSON."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "unsupported_media_type"
    title = "The body is of a type that is not read here"


class PreconditionError(AppError):
    """If-Match names another state than the present one, or If-None-Match the present one."""

    status = HTTPStatus.PRECONDITION_FAILED
    code = "precondition_failed"
    title = "The resource is not in the state that was asked for"


class ProblemResponse(JSONResponse):
    """A problem document."""

    media_type = MEDIA_TYPE


def _response(document: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> JSONResponse:
    return ProblemResponse(document, document["status"], headers=dict(headers or {}))


async def _app_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AppError)  # noqa: S101  # registered for this class alone
    headers = dict(error.headers)
    if error.status is HTTPStatus.PERMANENT_REDIRECT and request.url.query:
        headers["Location"] += f"?{request.url.query}"
    return _response(error.document(), headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # registered for this class alone
    if (place := place_in_json(error)) is not None:
        return _response(_no_json(place))
    found = error.errors()
    body = getattr(request.scope.get("route"), "body_field", None)
    model = body.field_info.annotation if body is not None else None
    fields = [
        FieldError(field=_where(item["loc"]), detail=mending(item, model), code=item["type"])
        for item in found[:MOST_FIELDS]
    ]
    first = fields[0]
    detail = f"{first.field}: {first.detail}" + (f" (and {len(found) - 1} more)" if len(found) > 1 else "")
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    return _response(problem(status, "validation_failed", "Some fields are not valid", detail, fields))


def _no_json(place: str) -> dict[str, Any]:
    field = FieldError(field="body", detail=place, code="json_invalid")
    detail = f"The body is no JSON, from {place}. Mend it there, or have a program write it, and send it again."
    return problem(HTTPStatus.BAD_REQUEST, "json_invalid", "The body is no JSON", detail, [field])


def _where(location: Sequence[object]) -> str:
    return ".".join(str(part) for part in location)[:LONGEST_FIELD]


_HTTP_CODES = {
    HTTPStatus.BAD_REQUEST: (
        "body_unreadable",
        "The body is not JSON that can be read: text in UTF-8, not nested too deeply, no number too long.",
    ),
    HTTPStatus.NOT_FOUND: ("not_found", "There is nothing at this address; the resources are listed in /openapi.json."),
    HTTPStatus.METHOD_NOT_ALLOWED: (
        "method_not_allowed",
        "This resource has no such method; the Allow header lists those it has.",
    ),
    HTTPStatus.REQUEST_TIMEOUT: ("request_timeout", "The request did not arrive in time; send it again, and faster."),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("body_too_large", "The body is larger than this resource accepts."),
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: ("headers_too_large", "The headers are larger than the service reads."),
    HTTPStatus.SERVICE_UNAVAILABLE: ("too_many_connections", "Too many connections are open; try again in a moment."),
}


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StarletteHTTPException)  # noqa: S101  # registered for this class alone
    status = HTTPStatus(error.status_code)
    headers = dict(error.headers or {})
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_allowed(request))
    return _response(http_problem(status), headers)


def http_problem(status: HTTPStatus) -> dict[str, Any]:
    """The problem document of what the framework refuses by itself."""
    code, detail = _HTTP_CODES.get(status, ("http_error", status.description or status.phrase))
    return problem(status, code, status.phrase, detail)


def _allowed(request: Request) -> list[str]:
    """Every method of the address: its routes are one for each method, and each of them knows only its own."""
    routes = request.app.routes
    found = [
        method
        for method in METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]
    return [name for method in found for name in (("GET", "HEAD") if method == "GET" else (method,))]


async def _unavailable(_: Request, error: Exception) -> JSONResponse:
    _log.error("database_unavailable", exc_info=error)
    detail = "The database does not answer. Nothing was changed; try again."
    status = HTTPStatus.SERVICE_UNAVAILABLE
    document = problem(status, "database_unavailable", "The service is not available for now", detail)
    return _response(document, {"Retry-After": "2"})


async def _unexpected(_: Request, error: Exception) -> JSONResponse:
    incident = str(uuid4())
    _log.error("unexpected_error", incident=incident, exc_info=error)
    detail = f"Something went wrong on our side. It is logged as incident {incident}."
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    return _response(problem(status, "internal_error", "Internal error", detail))


def install_error_handlers(app: FastAPI) -> None:
    """Have every error leave the service as a problem document."""
    app.add_exception_handler(AppError, _app_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(StarletteHTTPException, _http_error)
    app.add_exception_handler(OperationalError, _unavailable)
    app.add_exception_handler(PoolTimeoutError, _unavailable)
    app.add_exception_handler(Exception, _unexpected)
