"""THE transaction: insert the verdict, flip `is_current`, rewrite the paper document."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.access.audit import record
from app.core.db import database_now
from app.models import Paper, Verdict, VerdictKind, VerdictOrigin
from app.models.base import new_id
from app.papers.document import write_document


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVerdict:
    """A verdict about to be issued."""

    paper_version_id: UUID
    claim_id: UUID
    kind: VerdictKind
    origin: VerdictOrigin
    status: str
    score: float
    confidence: float
    agent_version: str
    protocol_match: str
    protocol_axes: dict[str, Any] | None = None
    decision: dict[str, Any] | None = None
    reproduction_id: UUID | None = None
    evidence_id: UUID | None = None
    id: UUID | None = None
    computed_at: datetime | None = None


def current_verdict(session: Session, claim_id: UUID, kind: VerdictKind) -> Verdict | None:
    """The verdict that stands for the claim and kind."""
    return session.scalar(select(Verdict).where(Verdict.claim_id == claim_id, Verdict.kind == kind, Verdict.is_current))


def issue(session: Session, paper: Paper, new: NewVerdict) -> Verdict:
    """Issue the verdict: it becomes the current one of its (claim, kind), and the earlier one says so.

    The paper's row has to be locked (`find_paper(lock=True)` or `lock_paper`): that puts concurrent issues for one
    paper in a row, each seeing the one before. The database refuses whatever would still break the chain.
    """
    # The database's clock, under the paper's lock: each verdict of a paper is later than the one before, whatever host
    # it comes from.
    moment = database_now(session)
    verdict_id = new.id or new_id()
    before = current_verdict(session, new.claim_id, new.kind)
    if before is not None:
        before.is_current = False
        before.superseded_by_id = verdict_id
        before.superseded_at = moment
        session.flush()
    values = {name: getattr(new, name) for name in NewVerdict.__slots__ if name not in {"id", "computed_at"}}
    verdict = Verdict(
        **values,
        id=verdict_id,
        computed_at=new.computed_at or moment,
        paper_id=paper.id,
        sequence=before.sequence + 1 if before else 1,
        is_current=True,
        supersedes_id=before.id if before else None,
    )
    session.add(verdict)
    etag = write_document(session, paper)
    facts = {"paper": paper.arxiv_id, "claim": new.claim_id, "kind": new.kind, "status": new.status}
    superseded = before.id if before else None
    record(session, "verdict.issued", f"verdicts/{verdict_id}", facts | {"supersedes": superseded, "etag": etag})
    return verdict
