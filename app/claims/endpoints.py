"""Claims over HTTP."""

from typing import Annotated, Any, Final, Literal, cast
from uuid import UUID

from fastapi import Depends, Query, Request, Response

from app.access.idempotency import OnceDep
from app.access.routes import protected_router, public_router
from app.access.scopes import Scope
from app.claims.bring import CSV, MARKDOWN, MOST, YAML, ClaimsFile, ClaimsImported, MetricFilter, bring_claims
from app.claims.from_csv import COLUMNS, REQUIRED
from app.claims.queries import list_claims, read_claim
from app.claims.register import register_claim
from app.claims.schemas import ClaimPost, ClaimRead
from app.core.etag import reply_model
from app.core.pagination import CursorQuery, LimitQuery, Page, next_link
from app.core.web import BodyDep, SessionDep, answered, problems, require_media
from app.papers.find import find_paper, find_version
from app.papers.ids import PAPER_PATH, PaperRefDep
from app.protocol.units import Unit

public = public_router(tags=["claims"])
protected = protected_router(Scope.curate, tags=["claims"])
_file_media = require_media(CSV, MARKDOWN, YAML)
files = protected_router(Scope.curate, tags=["claims"], bodies=Depends(_file_media))

MediaDep = Annotated[str, Depends(_file_media)]
_CSV: Final = """\
section,row,column,reported_value,unit,quoted_text,pdf_page
Table 2,Ours,MNLI-m,84.6,percent,Ours 84.6,5
Table 2,Ours,MNLI-mm,83.40,percent,Ours 84.6 83.40,5
"""
_CARD: Final = """\
model-index:
- name: ours
  results:
  - task: {type: text-classification}
    dataset: {name: MNLI, type: nyu-mll/glue, split: validation_matched}
    metrics:
    - {type: accuracy, value: 84.6}
"""
_FILES: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "A CSV file, a model card, or its YAML alone.",
        "content": {
            CSV: {"schema": {"type": "string"}, "example": _CSV},
            MARKDOWN: {"schema": {"type": "string"}, "example": f"---\n{_CARD}---\n# ours\n"},
            YAML: {"schema": {"type": "string"}, "example": _CARD},
        },
    }
}


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


@files.post(
    PAPER_PATH + "/claims:import",
    operation_id="importClaims",
    response_model=ClaimsImported,
    responses=problems(308, 404, 409, 415, 422),
    openapi_extra=_FILES,
    description=(
        f"Register the claims of a file, {MOST:,} at most: all of them, or none. Claims that are known stay as they "
        f"are.\n\nA CSV file (`{CSV}`) names its columns in its first line: {', '.join(REQUIRED)}, and as needed "
        f"{', '.join(name for name in COLUMNS if name not in REQUIRED)}. Of a model card (`{MARKDOWN}`, or its YAML "
        f"as `{YAML}`) the metrics of its `model-index` are read."
    ),
)
def import_claims(
    request: Request,
    session: SessionDep,
    ref: PaperRefDep,
    body: BodyDep,
    media: MediaDep,
    once: OnceDep,
    force: Annotated[bool, Query(description="Register values although no count gives them.")] = False,  # noqa: FBT002
    unit: Annotated[
        Unit | None, Query(description="Of a model card's values; default: above 1 a percentage, else a fraction.")
    ] = None,
    metric: Annotated[MetricFilter | None, Query(description="Read only these metrics of a model card.")] = None,
) -> Response:
    """Register the claims of a file: all of them, or none."""
    kind = cast("Literal['text/csv', 'text/markdown', 'application/yaml']", media)
    file = ClaimsFile(content=body, media=kind, force=force, unit=unit, metric=metric)

    def respond() -> Response:
        paper = find_paper(session, ref, lock=True, location="/v1/papers/{id}/claims:import")
        return reply_model(request, bring_claims(session, paper, find_version(session, paper, ref.version), file))

    return once(file, respond)


@public.get("/claims/{claim_id}", operation_id="getClaim", response_model=ClaimRead, responses=problems(404, 422))
def get_claim(request: Request, session: SessionDep, claim_id: UUID) -> Response:
    """One claim."""
    return reply_model(request, read_claim(session, claim_id))
