"""Claims over HTTP."""

from uuid import UUID

from fastapi import Request, Response

from app.access.idempotency import OnceDep
from app.access.routes import protected_router, public_router
from app.access.scopes import Scope
from app.claims.queries import list_claims, read_claim
from app.claims.register import register_claim
from app.claims.schemas import ClaimPost, ClaimRead
from app.core.etag import reply_model
from app.core.pagination import CursorQuery, LimitQuery, Page, next_link
from app.core.web import SessionDep, answered, problems
from app.papers.find import find_paper, find_version
from app.papers.ids import PAPER_PATH, PaperRefDep

public = public_router(tags=["claims"])
protected = protected_router(Scope.curate, tags=["claims"])


@public.get(
    PAPER_PATH + "/claims",
    operation_id="listClaims",
    response_model=Page[ClaimRead],
    responses=problems(308, 400, 404, 422),
)
def get_claims(
    request: Request, session: SessionDep, ref: PaperRefDep, limit: LimitQuery = 50, cursor: CursorQuery = None
) -> Response:
    """The claims of a paper, in the order they were registered."""
    page = list_claims(session, ref, limit, cursor)
    response = reply_model(request, page)
    response.headers.update(next_link(request, page.next_cursor))
    return response


@protected.post(
    PAPER_PATH + "/claims",
    operation_id="registerClaim",
    response_model=ClaimRead,
    status_code=201,
    responses=problems(308, 404, 409, 415, 422) | answered(201, claim=("getClaim", {"claim_id": "id"})),
)
def post_claim(request: Request, session: SessionDep, ref: PaperRefDep, post: ClaimPost, once: OnceDep) -> Response:
    """Register a reported number of the paper; with `vN`, as it stands in that version."""

    def respond() -> Response:
        paper = find_paper(session, ref, lock=True, location="/v1/papers/{id}/claims")
        claim = register_claim(session, paper, find_version(session, paper, ref.version), post)
        response = reply_model(request, read_claim(session, claim.id), status=201)
        response.headers["Location"] = f"/v1/claims/{claim.id}"
        return response

    return once(post, respond)


@public.get("/claims/{claim_id}", operation_id="getClaim", response_model=ClaimRead, responses=problems(404, 422))
def get_claim(request: Request, session: SessionDep, claim_id: UUID) -> Response:
    """One claim."""
    return reply_model(request, read_claim(session, claim_id))
