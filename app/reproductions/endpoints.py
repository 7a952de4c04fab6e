"""Reproductions over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Request, Response
from sqlalchemy.orm import Session

from app.access.idempotency import OnceDep
from app.access.routes import protected_router, public_router
from app.access.scopes import Scope
from app.core.etag import JSON, reply_model
from app.core.pagination import CursorQuery, LimitQuery, Page, next_link
from app.core.web import DoorbellDep, SessionDep, SettingsDep, answered, problems
from app.models import ReproductionState, VerdictKind
from app.papers.ids import PAPER_PATH, PaperRef, PaperRefDep
from app.protocol.paper_ids import LONGEST_ID, PAPER_REF
from app.reproductions.cancel import cancel_reproduction
from app.reproductions.course import read_course
from app.reproductions.queries import ReproductionFilter, list_reproductions, read_reproduction
from app.reproductions.request import request_reproduction
from app.reproductions.schemas import CourseRead, ReproductionPost, ReproductionRead, ReproductionSummary

public = public_router(tags=["reproductions"])
protected = protected_router(Scope.reproduce, tags=["reproductions"])

POLL_S = 1


@protected.post(
    PAPER_PATH + "/reproductions",
    operation_id="requestReproduction",
    response_model=ReproductionRead,
    status_code=202,
    responses=problems(308, 404, 409, 415, 422)
    | answered(
        202,
        run=("getReproduction", {"reproduction_id": "id"}),
        cancel=("cancelReproduction", {"reproduction_id": "id"}),
        claim=("getClaim", {"claim_id": "claim_id"}),
        driver=("getDriver", {"slug": "driver"}),
    ),
)
def post_reproduction(
    session: SessionDep,
    settings: SettingsDep,
    doorbell: DoorbellDep,
    ref: PaperRefDep,
    post: ReproductionPost,
    once: OnceDep,
) -> Response:
    """Ask for a reproduction of a claim; with `vN`, as a check of that version.

    While the same one is in flight, that one is returned.
    """

    def respond() -> Response:
        quota = settings.access.quota_runs
        run_id, _ = request_reproduction(session, ref, post, settings.queue, doorbell, quota=quota)
        session.flush()
        body = read_reproduction(session, run_id).model_dump_json().encode()
        headers = {"Location": f"/v1/reproductions/{run_id}", "Retry-After": str(POLL_S), "Cache-Control": "no-store"}
        return Response(body, 202, headers, media_type=JSON)

    return once(post, respond)


@public.get(
    "/reproductions",
    operation_id="listReproductions",
    response_model=Page[ReproductionSummary],
    responses=problems(400, 404, 422),
)
def get_reproductions(
    request: Request,
    session: SessionDep,
    paper: Annotated[
        str | None,
        Query(
            description="Of this paper; with `vN`, checks of that version.",
            json_schema_extra={"pattern": PAPER_REF, "maxLength": LONGEST_ID},
        ),
    ] = None,
    state: ReproductionState | None = None,
    kind: VerdictKind | None = None,
    limit: LimitQuery = 50,
    cursor: CursorQuery = None,
) -> Response:
    """List runs, newest first."""
    ref = PaperRef.parse(paper, field="query.paper") if paper is not None else None
    page = list_reproductions(session, ReproductionFilter(paper=ref, state=state, kind=kind), limit, cursor)
    response = reply_model(request, page)
    response.headers.update(next_link(request, page.next_cursor))
    return response


@public.get(
    "/reproductions/{reproduction_id}",
    operation_id="getReproduction",
    response_model=ReproductionRead,
    responses=problems(404, 422),
)
def get_reproduction(request: Request, session: SessionDep, reproduction_id: UUID) -> Response:
    """One run: where it is, how far, and what it says so far."""
    return _as_it_is(request, session, reproduction_id)


@public.get(
    "/reproductions/{reproduction_id}/course",
    operation_id="getReproductionCourse",
    response_model=CourseRead,
    responses=problems(404, 422),
)
def get_course(request: Request, session: SessionDep, reproduction_id: UUID) -> Response:
    """How the run went: its progress from the first examples on, with the interval narrowing.

    While it runs, the newest point may be a little behind its progress.
    """
    return reply_model(request, read_course(session, reproduction_id))


@protected.post(
    "/reproductions/{reproduction_id}/cancel",
    operation_id="cancelReproduction",
    response_model=ReproductionRead,
    responses=problems(404, 409, 422),
)
def post_cancel(request: Request, session: SessionDep, reproduction_id: UUID) -> Response:
    """Cancel a run; its worker stops at its next heartbeat."""
    cancel_reproduction(session, reproduction_id)
    session.flush()
    return _as_it_is(request, session, reproduction_id)


def _as_it_is(request: Request, session: Session, reproduction_id: UUID) -> Response:
    """The run; while it is in flight, with the time after which it may have gone on."""
    run = read_reproduction(session, reproduction_id)
    response = reply_model(request, run)
    if not run.done:
        response.headers["Retry-After"] = str(POLL_S)
    return response
