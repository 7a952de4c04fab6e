"""Reading claims."""

from uuid import UUID

from sqlalchemy import ARRAY, Text, func, select
from sqlalchemy.orm import Session

from app.claims.errors import ClaimNotFoundError
from app.claims.schemas import ClaimRead, claim_read
from app.core.pagination import Page, decode_cursor, encode_cursor
from app.models import Claim, Driver, Paper, PaperVersion
from app.papers.find import find_paper, find_version
from app.papers.ids import PaperRef

_SLUGS = select(Driver.slug).where(Driver.claim_id == Claim.id).order_by(Driver.slug).correlate(Claim)
_DRIVERS = func.array(_SLUGS.scalar_subquery(), type_=ARRAY(Text))
_READ = (
    select(Claim, Paper.arxiv_id, PaperVersion.version, Paper.headline_claim_id == Claim.id, _DRIVERS)
    .join(Paper, Paper.id == Claim.paper_id)
    .join(PaperVersion, PaperVersion.id == Claim.paper_version_id)
)


def read_claim(session: Session, claim_id: UUID) -> ClaimRead:
    """One claim. Raises ClaimNotFoundError."""
    row = session.execute(_READ.where(Claim.id == claim_id)).one_or_none()
    if row is None:
        detail = f"There is no claim {claim_id}. GET /v1/papers/{{id}}/claims lists the claims of a paper."
        raise ClaimNotFoundError(detail)
    claim, arxiv_id, version, headline, drivers = row
    return claim_read(claim, arxiv_id, version, headline=bool(headline), drivers=list(drivers))


def list_claims(
    session: Session, ref: PaperRef, limit: int, cursor: str | None, paper: Paper | None = None
) -> Page[ClaimRead]:
    """A page of a paper's claims in the order they were registered; with `vN`, those registered for that version.

    `paper` is the one referred to, where it was found before.
    """
    paper = paper or find_paper(session, ref, location="/v1/papers/{id}/claims")
    after = decode_cursor("claims", cursor, lambda key: UUID(key[0]))
    query = _READ.where(Claim.paper_id == paper.id).order_by(Claim.id).limit(limit + 1)
    if ref.version is not None:
        query = query.where(Claim.paper_version_id == find_version(session, paper, ref.version).id)
    query = query.where(Claim.id > after) if after is not None else query
    rows = session.execute(query).all()
    items = [
        claim_read(claim, arxiv_id, version, headline=bool(headline), drivers=list(drivers))
        for claim, arxiv_id, version, headline, drivers in rows[:limit]
    ]
    following = encode_cursor("claims", [str(items[-1].id)]) if len(rows) > limit else None
    return Page(items=items, next_cursor=following)


def find_claim_of(session: Session, paper: Paper, claim_id: UUID | None) -> Claim:
    """The paper's claim with this id, or its headline claim. Raises ClaimNotFoundError."""
    wanted = claim_id or paper.headline_claim_id
    claim = session.get(Claim, wanted) if wanted else None
    if claim is None or claim.paper_id != paper.id:
        known = f"{claim_id} is no claim of {paper.arxiv_id}" if claim_id else f"{paper.arxiv_id} has no claim yet"
        detail = f"{known}. GET /v1/papers/{paper.arxiv_id}/claims lists them, POST adds one."
        raise ClaimNotFoundError(detail)
    return claim
