"""Drivers over HTTP."""

from typing import Annotated

from fastapi import Path, Request, Response

from app.access.routes import public_router
from app.core.etag import reply_model
from app.core.pagination import CursorQuery, LimitQuery, Page, next_link
from app.core.web import SessionDep, problems
from app.drivers.queries import list_drivers, read_driver
from app.drivers.schemas import DriverRead

public = public_router(tags=["drivers"])


@public.get("/drivers", operation_id="listDrivers", response_model=Page[DriverRead], responses=problems(400, 422))
def get_drivers(request: Request, session: SessionDep, limit: LimitQuery = 50, cursor: CursorQuery = None) -> Response:
    """The catalogue of drivers, by slug."""
    page = list_drivers(session, limit, cursor)
    response = reply_model(request, page)
    response.headers.update(next_link(request, page.next_cursor))
    return response


@public.get("/drivers/{slug}", operation_id="getDriver", response_model=DriverRead, responses=problems(404, 422))
def get_driver(
    request: Request, session: SessionDep, slug: Annotated[str, Path(max_length=200, pattern=r"^[^\x00]*$")]
) -> Response:
    """One driver with its whole specification."""
    return reply_model(request, read_driver(session, slug))
