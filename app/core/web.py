"""What endpoints depend on: the session of the request's unit of work, the settings, the doorbell."""

from collections.abc import Awaitable, Callable
from functools import partial, wraps
from http import HTTPStatus
from inspect import iscoroutinefunction, signature
from typing import Annotated, Any, Final, cast

from fastapi import Depends, Request
from sqlalchemy.orm import Session

from app.core.db import Database, unit_of
from app.core.errors import MEDIA_TYPE, ContentTypeError, Problem
from app.core.queue import Doorbell
from app.core.settings import Settings
from app.core.threads import in_thread

_LONGEST_CODING: Final = 50
SESSION_INFO: Final = "session_info"
"""What the request's session carries in its `info`, in the request's scope: put there by whoever lets it in."""


async def get_session(request: Request) -> Session:
    """The session of the request's one unit of work, which ends with the endpoint (`threaded`)."""
    database = cast("Database", request.app.state.database)
    session = database.begin().session
    session.info.update(request.scope.get(SESSION_INFO, {}))
    return session


def threaded(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """The endpoint, in a thread, and its unit of work with it: one hand-over for both.

    It commits before the response goes out, so that a failing commit is a 5xx. What runs on the event loop itself is
    left as it is, and may have no session.
    """
    if iscoroutinefunction(endpoint):
        if any(one.annotation is SessionDep for one in signature(endpoint).parameters.values()):
            message = f"{endpoint.__name__} has a session, so it has to be a plain function"
            raise TypeError(message)
        return endpoint

    @wraps(endpoint)
    async def run(**arguments: Any) -> Any:  # noqa: ANN401  # whatever the endpoint takes and returns
        return await in_thread(partial(_whole, endpoint, arguments))

    return run


def _whole(endpoint: Callable[..., Any], arguments: dict[str, Any]) -> Any:  # noqa: ANN401  # as above
    works = [unit_of(one) for one in arguments.values() if isinstance(one, Session)]
    try:
        result = endpoint(**arguments)
        for work in works:
            work.finish()
    except BaseException:
        for work in works:
            work.abandon()
        raise
    return result


async def get_settings(request: Request) -> Settings:
    """The settings the application was made with."""
    return cast("Settings", request.app.state.settings)


async def get_doorbell(request: Request) -> Doorbell:
    """The doorbell of the workers."""
    return cast("Doorbell", request.app.state.doorbell)


async def require_json(request: Request) -> None:
    """Refuse bodies that are not JSON before anything is read out of them."""
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if has_body and media not in {"application/json", "application/merge-patch+json"}:
        detail = f"The body is {media or 'of no stated type'}; send it with Content-Type: application/json."
        raise ContentTypeError(detail, headers={"Accept": "application/json"})


def refuse_coded(request: Request) -> None:
    """Refuse a compressed body before it is read: few bytes of it can become very many. Raises ContentTypeError."""
    codings = ", ".join(request.headers.getlist("content-encoding")).strip().lower()
    if codings not in {"", "identity"}:
        detail = f"The body is coded ({codings[:_LONGEST_CODING]}); send it as it is, without Content-Encoding."
        raise ContentTypeError(detail, headers={"Accept-Encoding": "identity"})


def require_media(*allowed: str) -> Callable[[Request], Awaitable[str]]:
    """A dependency: the body's media type, one of these. Raises ContentTypeError before anything is read of it."""

    async def media_of(request: Request) -> str:
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media not in allowed:
            detail = f"The body is {media or 'of no stated type'}; send it with Content-Type: {' or '.join(allowed)}."
            raise ContentTypeError(detail, headers={"Accept": ", ".join(allowed)})
        return media

    return media_of


async def get_body(request: Request) -> bytes:
    """The body as it came, for what is not JSON."""
    return await request.body()


SessionDep = Annotated[Session, Depends(get_session)]
SettingsDep = Annotated[Settings, Depends(get_settings)]
DoorbellDep = Annotated[Doorbell, Depends(get_doorbell)]
JsonOnly = Depends(require_json)
BodyDep = Annotated[bytes, Depends(get_body)]


def problems(*statuses: int) -> dict[int | str, dict[str, object]]:
    """The problem responses of a route, for its OpenAPI description; the schema is added by `add_problem_schema`."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"content": content, "description": HTTPStatus(status).phrase} for status in statuses}


def answered(status: int, **links: tuple[str, dict[str, str]]) -> dict[int | str, dict[str, object]]:
    """The links of a successful answer, for its OpenAPI description.

    By name: the operation that reads on, and where in the answer's body its parameters are.
    """
    described = {
        name: {
            "operationId": operation,
            "parameters": {name: f"$response.body#/{place}" for name, place in parameters.items()},
        }
        for name, (operation, parameters) in links.items()
    }
    return {status: {"links": described}}


def add_problem_schema(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document with the schema that `problems` refers to.

    FastAPI itself would declare a model as plain JSON, too, which a problem never is.
    """
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    document["components"]["schemas"] |= {**schema.pop("$defs"), "Problem": schema}
    return document
