"""Badges over HTTP."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import Query, Request, Response

from app.access.routes import public_router
from app.badges.badge import BadgeRead, read_badge
from app.badges.svg import HEADERS, MEDIA_TYPE, draw
from app.core.etag import reply, reply_model
from app.core.web import SessionDep, problems
from app.models import VerdictKind
from app.papers.ids import PAPER_PATH, PaperIdDep

public = public_router(tags=["badges"])

ClaimQuery = Annotated[UUID | None, Query(description="One of the paper's claims; default: the headline claim.")]
KindQuery = Annotated[VerdictKind | None, Query(description="Default: the POST verdict, else the PRE one.")]
_RECOUNT: Final = "a recount of released predictions"
_EXAMPLE = '<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="verdict: reproduced">…</svg>'


@public.get(PAPER_PATH + "/badge.json", operation_id="getBadge", response_model=BadgeRead, responses=problems(308, 422))
def get_badge(
    request: Request, session: SessionDep, ref: PaperIdDep, claim: ClaimQuery = None, kind: KindQuery = None
) -> Response:
    """The badge of a paper's verdict, in the endpoint schema of shields.io; "no verdict" where there is none."""
    return reply_model(request, read_badge(session, ref, claim=claim, kind=kind, place="badge.json").badge)


@public.get(
    PAPER_PATH + "/badge.svg",
    operation_id="getBadgeImage",
    response_class=Response,
    responses=problems(308, 422)
    | {200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": _EXAMPLE}}, "description": "The badge"}},
)
def get_badge_image(
    request: Request, session: SessionDep, ref: PaperIdDep, claim: ClaimQuery = None, kind: KindQuery = None
) -> Response:
    """The badge of a paper's verdict as an image, for a README; a grey "no verdict" where there is none."""
    shown = read_badge(session, ref, claim=claim, kind=kind, place="badge.svg")
    image = draw(shown.badge, _RECOUNT if shown.is_recount else "")
    return reply(request, image.encode(), media_type=MEDIA_TYPE, more=HEADERS)
