"""A verdict with all that an export says of it, read in the request's unit of work."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, Select, select
from sqlalchemy.orm import Session

from app.exports.errors import ExportTooLargeError, NoVerdictError
from app.models import Claim, Evidence, Paper, PaperVersion, Reproduction, Verdict, VerdictKind
from app.papers.find import find_paper
from app.papers.ids import PaperRef
from app.verdicts.errors import VerdictNotFoundError
from app.verdicts.standing import standing_verdict, standing_verdicts

MOST: Final = 500
"""Verdicts in one document."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One verdict, its claim and paper, and the evidence as it was stored (None for an imported verdict)."""

    verdict: Verdict
    claim: Claim
    arxiv_id: str
    title: str
    paper_version: int
    content: dict[str, Any] | None
    started_at: datetime | None

    @property
    def facts(self) -> dict[str, Any]:
        """What the measurement states of itself."""
        return dict((self.content or {}).get("facts") or {})

    @property
    def driver(self) -> dict[str, Any] | None:
        """The driver's specification, where a driver of ours measured."""
        return (self.content or {}).get("driver")


def subject_of_verdict(session: Session, verdict_id: UUID) -> Subject:
    """Raises VerdictNotFoundError."""
    row = session.execute(_select().where(Verdict.id == verdict_id)).one_or_none()
    if row is None:
        raise VerdictNotFoundError(verdict_id)
    return _subject(row)


def subject_of_paper(
    session: Session, ref: PaperRef, claim: UUID | None, kind: VerdictKind | None, place: str
) -> Subject:
    """The paper's own verdict, or the standing one of a claim and a kind of its.

    Raises PaperNotFoundError, PaperMovedError (to `place` below the paper), NoVerdictError.
    """
    paper = find_paper(session, ref, location=f"/v1/papers/{{id}}/{place}")
    verdict = standing_verdict(session, paper, claim, kind)
    if verdict is None:
        raise _nothing(paper)
    return subject_of_verdict(session, verdict.id)


def subjects_of_paper(
    session: Session, ref: PaperRef, claim: UUID | None, kind: VerdictKind | None, place: str
) -> list[Subject]:
    """The standing verdict of every claim of the paper, or of one, in the order of the claims. Raises as above.

    And ExportTooLargeError.
    """
    paper = find_paper(session, ref, location=f"/v1/papers/{{id}}/{place}")
    found = [verdict.id for verdict in standing_verdicts(session, paper, claim, kind, MOST + 1)]
    if not found:
        raise _nothing(paper)
    if len(found) > MOST:
        detail = f"{paper.arxiv_id} has verdicts on more than {MOST} claims; ask for one with `claim`."
        raise ExportTooLargeError(detail)
    rows = session.execute(_select().where(Verdict.id.in_(found)).order_by(Verdict.claim_id))
    return [_subject(row) for row in rows]


def _nothing(paper: Paper) -> NoVerdictError:
    detail = (
        f"{paper.arxiv_id} has no verdict of this claim and kind. GET /v1/papers/{paper.arxiv_id}/verdicts lists those "
        "it has; POST /v1/papers/{id}/reproductions asks for one."
    )
    return NoVerdictError(detail)


_Found = Row[Verdict, Claim, str, str, int, dict[str, Any] | None, datetime | None]


def _select() -> Select[Verdict, Claim, str, str, int, dict[str, Any] | None, datetime | None]:
    return (
        select(
            Verdict,
            Claim,
            Paper.arxiv_id,
            Paper.title,
            PaperVersion.version,
            Evidence.content,
            Reproduction.started_at,
        )
        .join(Claim, Claim.id == Verdict.claim_id)
        .join(Paper, Paper.id == Verdict.paper_id)
        .join(PaperVersion, PaperVersion.id == Verdict.paper_version_id)
        .outerjoin(Evidence, Evidence.id == Verdict.evidence_id)
        .outerjoin(Reproduction, Reproduction.id == Verdict.reproduction_id)
    )


def _subject(row: _Found) -> Subject:
    verdict, claim, arxiv_id, title, version, content, started_at = row
    return Subject(verdict, claim, arxiv_id, title, version, content, started_at)
