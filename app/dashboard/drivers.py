"""The catalogue of drivers."""

import json
from typing import Annotated

from fastapi import Path, Request, Response

from app.claims.queries import read_claim
from app.core.pagination import CursorQuery
from app.core.web import SessionDep
from app.dashboard.asked import PAGE, further, without_cursor
from app.dashboard.render import page
from app.dashboard.routes import page_router
from app.dashboard.words import AXIS, AXIS_VALUE, FAITHFUL
from app.drivers.queries import list_drivers, read_driver
from app.papers.schemas import NO_NUL

router = page_router()


@router.get("/drivers")
def get_drivers(request: Request, session: SessionDep, cursor: CursorQuery = None) -> Response:
    """The recipes that re-measure claims."""
    drivers = list_drivers(session, PAGE, cursor)
    return page(
        request,
        "drivers.html",
        drivers=drivers.items,
        first_page=without_cursor(request) if cursor else None,
        next_page=further(request, drivers.next_cursor),
    )


@router.get("/drivers/{slug}")
def get_driver(
    request: Request, session: SessionDep, slug: Annotated[str, Path(max_length=200, pattern=NO_NUL)]
) -> Response:
    """One driver, whole."""
    driver = read_driver(session, slug)
    axes = driver.spec["protocol"]
    return page(
        request,
        "driver.html",
        driver=driver,
        claim=read_claim(session, driver.claim_id),
        protocol=[
            (axis, AXIS[axis], axes[axis], AXIS_VALUE[axis][axes[axis]], axes[axis] == FAITHFUL[axis])
            for axis in FAITHFUL
        ],
        source=json.dumps(driver.spec, ensure_ascii=False, indent=2),
    )
