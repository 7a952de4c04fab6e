"""The verdict that stands for a paper, for what others embed or export."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from app.models import Claim, Paper, Verdict, VerdictKind


def standing_verdict(session: Session, paper: Paper, claim: UUID | None, kind: VerdictKind | None) -> Verdict | None:
    """The current verdict of one of the paper's claims (the headline claim where none is named) and of a kind.

    Without a kind it is the POST one, else the PRE one: the paper document's own `verdict`. None where there is none.
    """
    query = select(Verdict).where(
        Verdict.paper_id == paper.id, Verdict.claim_id == (claim or paper.headline_claim_id), Verdict.is_current
    )
    query = query.where(Verdict.kind == kind) if kind is not None else query.order_by(Verdict.kind)  # POST < PRE
    return session.scalar(query.limit(1))


def standing_verdicts(
    session: Session, paper: Paper, claim: UUID | None, kind: VerdictKind | None, limit: int
) -> list[Verdict]:
    """The standing verdict of every claim of the paper, or of one, in the order the claims were registered."""
    query = select(Verdict).where(Verdict.paper_id == paper.id, Verdict.is_current)
    query = query.where(Verdict.claim_id == claim) if claim is not None else query
    query = query.where(Verdict.kind == kind) if kind is not None else query
    query = query.ext(distinct_on(Verdict.claim_id)).order_by(Verdict.claim_id, Verdict.kind).limit(limit)
    return list(session.scalars(query))


def claim_of_paper(session: Session, paper: Paper, claim: UUID) -> Claim | None:
    """The paper's claim with this id."""
    return session.scalar(select(Claim).where(Claim.id == claim, Claim.paper_id == paper.id))
