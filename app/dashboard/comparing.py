"""Two verdicts on the same items."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Request, Response

from app.core.pagination import CursorQuery
from app.core.web import SessionDep, SettingsDep
from app.dashboard.asked import PAGE, further, without_cursor
from app.dashboard.charts import Band, Label, Scale
from app.dashboard.findings import evidence_or_none
from app.dashboard.numbers import points
from app.dashboard.render import page
from app.dashboard.routes import page_router
from app.dashboard.texts import texts_of
from app.verdicts.compare import compare_verdicts
from app.verdicts.compare_schemas import ComparisonRead

router = page_router()


@router.get("/compare")
def get_chosen(first: Annotated[UUID, Query()], second: Annotated[UUID, Query()]) -> Response:
    """To the page of the two verdicts that a form chose."""
    return Response(status_code=303, headers={"Location": f"/compare/{first}/{second}"})


@router.get("/compare/{first}/{second}")
def get_comparison(
    request: Request,
    session: SessionDep,
    settings: SettingsDep,
    first: UUID,
    second: UUID,
    cursor: CursorQuery = None,
) -> Response:
    """Two verdicts, item by item."""
    comparison = compare_verdicts(session, first, second, PAGE, cursor)
    evidence, _ = evidence_or_none(session, first)
    texts = texts_of(evidence, settings.catalogue_dir) if evidence else None
    return page(
        request,
        "compare.html",
        c=comparison,
        chart=_chart(comparison),
        flipped=[(one, texts.of(one.row) if texts else []) for one in comparison.flipped.items],
        first_page=without_cursor(request) if cursor else None,
        next_page=further(request, comparison.flipped.next_cursor),
    )


def _chart(comparison: ComparisonRead) -> dict[str, object]:
    """The difference on an axis around nought."""
    low, high = comparison.interval_95
    scale = Scale.over([low, high, 0.0, comparison.difference])
    return {
        "zero": scale.at(0.0),
        "band": Band.on(scale, low, high),
        "point": Label(scale.at(comparison.difference), f"{points(comparison.difference)} points"),
        "ticks": [Label(scale.at(tick), points(tick, scale.digits())) for tick in scale.ticks],
    }
