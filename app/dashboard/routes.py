"""What every page has in common: admission as at the API's door, security headers, and errors in HTML."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.access.errors import KeyInvalidError, KeyRequiredError
from app.access.routes import Handler, PublicRoute
from app.core.errors import AppError
from app.core.wrong_values import said_of
from app.dashboard.render import page
from app.papers.errors import PaperIdError, PaperMovedError

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
SECURITY: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_log = structlog.get_logger(__name__)
_OVER_HTTP: Final = re.compile(r"[;.] (?:GET|Register it with PUT|A paper .* as a draft: PUT) /v1/.*", re.DOTALL)
"""Advice for programs, at the end of what is wrong: a page has its links, and its search."""
_LONGEST_GIVEN: Final = 100
_CLOSED: Final = (
    "Reading takes an API key on this service, and a browser has no safe place to keep one, so its pages are off. "
    "The same is to be had through the API and the command line: send the key as `Authorization: Bearer prefix.secret`."
)
AWAY: Final = "The database does not answer at present. Nothing was changed; try again in a moment."


class PageRoute(PublicRoute):
    """A page that everybody may read, unless reading takes a key."""

    def get_route_handler(self) -> Handler:
        """The handler behind the door, with whatever goes wrong as a page."""
        handler = super().get_route_handler()

        async def answered(request: Request) -> Response:
            return await as_page(request, handler)

        return answered


async def as_page(request: Request, handler: Handler) -> Response:
    """The handler's answer with the headers of a page; its errors as pages."""
    try:
        response = await handler(request)
    except PaperMovedError as moved:
        response = _moved(request, moved)
    except (KeyRequiredError, KeyInvalidError) as error:
        response = error_page(request, error.status, "These pages are closed", _CLOSED, error.headers)
    except PaperIdError as error:  # who types words where an id belongs looks for a paper
        asked = str(request.path_params.get("paper_id", ""))[:_LONGEST_GIVEN]
        response = error_page(request, error.status, error.title, error.detail, error.headers, asked=asked)
    except AppError as error:
        detail = _OVER_HTTP.sub(".", error.detail)
        response = error_page(request, error.status, error.title, detail, error.headers)
    except RequestValidationError as error:
        response = error_page(request, HTTPStatus.UNPROCESSABLE_ENTITY, "The address is not valid", _first_of(error))
    except (OperationalError, PoolTimeoutError) as error:
        _log.error("database_unavailable", exc_info=error)  # as the API's own handler does
        headers = {"Retry-After": "2"}
        response = error_page(request, HTTPStatus.SERVICE_UNAVAILABLE, "Not available for now", AWAY, headers)
    response.headers.update(SECURITY)
    return response


def error_page(
    request: Request,
    status: int,
    title: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    *,
    paper: str | None = None,
    asked: str | None = None,
) -> Response:
    """A page that says what is wrong and how to mend it.

    `paper` is one that the address may have meant, `asked` what may be looked for.
    """
    said = {"title": title, "detail": detail, "code": int(status), "paper": paper, "asked": asked}
    response = page(request, "error.html", status=int(status), **said)
    response.headers.update(headers or {})
    return response


def _first_of(error: RequestValidationError) -> str:
    """What is wrong with the address, and which part of it."""
    first = error.errors()[0]
    place, *names = first["loc"]
    given, name = str(first.get("input"))[:_LONGEST_GIVEN], ".".join(map(str, names))
    where = f"“{given}” stands in the address" if place == "path" else f"{name} is “{given}” in the address"
    return f"{where}. {said_of(first)}".replace("'', ", "")  # an empty field of a form is one left out


def _moved(request: Request, moved: PaperMovedError) -> Response:
    """To the same page of the id that the draft got."""
    alias = str(request.path_params.get("paper_id", ""))
    path = request.scope["path"].replace(alias, moved.arxiv_id, 1)
    query = request.url.query
    location = quote(path, safe="/:") + (f"?{query}" if query else "")
    return Response(status_code=308, headers={"Location": location})


def page_router(**options: Any) -> APIRouter:  # noqa: ANN401  # APIRouter's own
    """A router of pages. None of them is in the OpenAPI document, which describes the API."""
    return APIRouter(route_class=PageRoute, include_in_schema=False, **options)
