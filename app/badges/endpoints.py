"""Badges over HTTP."""

from fastapi import Request, Response

from app.access.routes import public_router
from app.badges.badge import BadgeRead, read_badge
from app.core.etag import reply_model
from app.core.web import SessionDep, problems
from app.papers.ids import PAPER_PATH, PaperIdDep

public = public_router(tags=["badges"])


@public.get(PAPER_PATH + "/badge.json", operation_id="getBadge", response_model=BadgeRead, responses=problems(308, 422))
def get_badge(request: Request, session: SessionDep, ref: PaperIdDep) -> Response:
    """The badge of a paper's verdict, in the endpoint schema of shields.io."""
    return reply_model(request, read_badge(session, ref))
