"""What endpoints depend on: the session of the request's unit of work, the settings, the doorbell."""

from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Annotated, Any, Final, cast

from fastapi import Depends, Request
from sqlalchemy.orm import Session

from app.core.db import Database
from app.core.errors import MEDIA_TYPE, ContentTypeError, Problem
from app.core.queue import Doorbell
from app.core.settings import Settings

SESSION_INFO: Final = "session_info"
"""What the request's session carries in its `info`, in the request's scope: put there by whoever lets it in."""


def get_session(request: Request) -> Iterator[Session]:
    """One unit of work a request."""
    database = cast("Database", request.app.state.database)
    with database.unit_of_work() as session:
        session.info.update(request.scope.get(SESSION_INFO, {}))
        yield session


def get_settings(request: Request) -> Settings:
    """The settings the application was made with."""
    return cast("Settings", request.app.state.settings)


def get_doorbell(request: Request) -> Doorbell:
    """The doorbell of the workers."""
    return cast("Doorbell", request.app.state.doorbell)


def require_json(request: Request) -> None:
    """Refuse bodies that are not JSON before anything is read out of them."""
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if has_body and media not in {"application/json", "application/merge-patch+json"}:
        detail = f"The body is {media or 'of no stated type'}; send it with Content-Type: application/json."
        raise ContentTypeError(detail, headers={"Accept": "application/json"})


def require_media(*allowed: str) -> Callable[[Request], str]:
    """A dependency: the body's media type, one of these. Raises ContentTypeError before anything is read of it."""

    def media_of(request: Request) -> str:
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media not in allowed:
            detail = f"The body is {media or 'of no stated type'}; send it with Content-Type: {' or '.join(allowed)}."
            raise ContentTypeError(detail, headers={"Accept": ", ".join(allowed)})
        return media

    return media_of


async def get_body(request: Request) -> bytes:
    """The body as it came, for what is not JSON."""
    return await request.body()


# scope="function": the unit of work commits before the response goes out, so that a failing commit is a 5xx.
SessionDep = Annotated[Session, Depends(get_session, scope="function")]
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
