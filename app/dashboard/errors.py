"""What goes wrong outside the API, as a page for whoever reads pages: unknown addresses, wrong verbs, our own faults.

Programs get the problem document as everywhere: a browser names HTML in `Accept`, they do not.
"""

import json
import re
from collections.abc import Awaitable, Callable
from typing import Final, cast
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException as StarletteHTTPException  # noqa: TID251  # routing itself raises it
from starlette.routing import Match

from app.access.routes import PREFIX
from app.core.errors import AppError
from app.core.etag import READS
from app.dashboard.routes import AWAY, SECURITY, error_page
from app.protocol.paper_ids import ID_PATTERN

Handler = Callable[[Request, Exception], Awaitable[Response]]
_KINDS: Final = (AppError, StarletteHTTPException, OperationalError, PoolTimeoutError, Exception)
_HTML: Final = ("text/html", "application/xhtml+xml")
_JSON: Final = ("application/json", "application/problem+json")
_FIRST_ERROR: Final = 400
_LONGEST: Final = 200
_PAPER: Final = re.compile(rf"{ID_PATTERN}(?:v[1-9]\d{{0,5}})?", re.ASCII)
_OF_THE_BODY: Final = frozenset({"content-length", "content-type"})
_WORDS: Final = {
    "not_found": ("There is no such page", "Nothing is at {path} here: the address may be mistyped, or cut off."),
    "method_not_allowed": ("This page is only read", "Nothing can be sent to {path}. Go back, and load the page anew."),
    "internal_error": ("Something went wrong", "{detail} Nothing that was stored is lost; try again in a moment."),
    "database_unavailable": ("Not available for now", AWAY),
}
"""What the API says in words of its own, by the problem's code."""


def install_error_pages(app: FastAPI) -> None:
    """Have what the service's error handlers say be a page outside the API, where a page is asked for."""
    for kind in _KINDS:
        app.add_exception_handler(kind, _paged(cast("Handler", app.exception_handlers[kind])))


def prefers_page(accept: str) -> bool:
    """Whether HTML is named, and no JSON before it. `*/*` names neither."""
    weights = dict(map(_weighed, accept.lower().split(",")))
    html, other = (max(weights.get(name, 0.0) for name in names) for names in (_HTML, _JSON))
    return html > 0 and html >= other


def _weighed(part: str) -> tuple[str, float]:
    media, *parameters = (one.strip() for one in part.split(";"))
    given = next((one[2:] for one in parameters if one.startswith("q=")), "1")
    try:
        return media, float(given)
    except ValueError:
        return media, 0.0


def _paged(handler: Handler) -> Handler:
    async def answered(request: Request, error: Exception) -> Response:
        response = await handler(request, error)
        path = str(request.scope["path"])
        is_api = path == PREFIX or path.startswith(f"{PREFIX}/")
        wanted = not is_api and prefers_page(", ".join(request.headers.getlist("accept")))
        return _as_page(request, path, response) if wanted and response.status_code >= _FIRST_ERROR else response

    return answered


def _as_page(request: Request, path: str, problem: Response) -> Response:
    said = json.loads(bytes(problem.body))
    if said["code"] == "not_found" and request.method in READS and (other := _meant(request, path)) is not None:
        query = request.url.query
        location = quote(other, safe="/:") + (f"?{query}" if query else "")
        return Response(status_code=308, headers={"Location": location, "Cache-Control": "no-store"})
    title, form = _WORDS.get(said["code"], (said["title"], "{detail}"))
    kept = {name: value for name, value in problem.headers.items() if name not in _OF_THE_BODY}
    detail = form.format(detail=said["detail"], path=path[:_LONGEST])
    found = _PAPER.search(path) if said["code"] == "not_found" else None
    response = error_page(request, said["status"], title, detail, kept, paper=found[0] if found else None)
    response.headers.update(SECURITY | {"Vary": "Accept"})
    return response


def _meant(request: Request, path: str) -> str | None:
    """The page that an address without one stands for: with a slash too many, or the list under the papers' name."""
    bare = path.rstrip("/")
    if bare == "/papers":
        return "/"
    if bare == path:
        return None
    scope = {**request.scope, "path": bare, "method": "GET"}
    return bare if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes) else None
