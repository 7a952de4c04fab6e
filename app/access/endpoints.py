"""The audit log over HTTP."""

from typing import Annotated

from fastapi import Query, Request, Response

from app.access.audit import list_audit
from app.access.routes import protected_router
from app.access.schemas import AuditRead
from app.access.scopes import Scope
from app.core.etag import reply_model
from app.core.pagination import CursorQuery, LimitQuery, Page, next_link
from app.core.web import SessionDep

protected = protected_router(Scope.admin, tags=["operations"])


@protected.get("/audit", operation_id="listAudit", response_model=Page[AuditRead])
def get_audit(
    request: Request,
    session: SessionDep,
    subject: Annotated[
        str | None,
        Query(max_length=300, pattern=r"^[^\x00]*$", description="E.g. `papers/2111.09543`."),
    ] = None,
    limit: LimitQuery = 50,
    cursor: CursorQuery = None,
) -> Response:
    """Who changed what, newest first."""
    page = list_audit(session, limit, cursor, subject)
    response = reply_model(request, page)
    response.headers.update(next_link(request, page.next_cursor))
    return response
