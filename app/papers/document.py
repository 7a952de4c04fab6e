"""The paper document: built from the rows, and kept prepared beside them in the same transaction."""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import Session

from app.core.clock import now
from app.core.etag import etag_of
from app.models import Claim, Paper, PaperDocument, PaperVersion, Verdict, VerdictKind
from app.papers.schemas import (
    ClaimCitation,
    DocumentVerdict,
    DocumentVerdicts,
    PaperDocumentRead,
    PaperRead,
    VersionRead,
)

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def citation_of(claim: Claim, arxiv_id: str) -> ClaimCitation:
    """The claim as a verdict cites it, under the paper's present id."""
    return ClaimCitation(
        paper_arxiv_id=arxiv_id,
        section=claim.section,
        row=claim.row,
        column=claim.column,
        reported_value=float(claim.reported_value),
        reported_metric=claim.reported_metric,
        quoted_text=claim.quoted_text,
        pdf_page=claim.pdf_page,
        notes=claim.notes,
    )


def document_verdict(verdict: Verdict, claim: Claim, arxiv_id: str) -> DocumentVerdict:
    """A verdict with the ten keys of the document."""
    return DocumentVerdict(
        id=verdict.id,
        kind=verdict.kind,
        status=verdict.status,
        score=verdict.score,
        confidence=verdict.confidence,
        agent_version=verdict.agent_version,
        computed_at=verdict.computed_at,
        is_current=verdict.is_current,
        claim_citation=citation_of(claim, arxiv_id),
        protocol_match=verdict.protocol_match,
    )


def version_read(version: PaperVersion) -> VersionRead:
    """A version as the document shows it."""
    return VersionRead.model_validate(version, from_attributes=True)


def _verdicts(session: Session, paper: Paper, as_of: int | None) -> dict[VerdictKind, DocumentVerdict]:
    """The headline claim's verdict of each kind: the current one, or the newest that checked a version <= `as_of`."""
    if paper.headline_claim_id is None:
        return {}
    query = (
        select(Verdict, Claim)
        .join(Claim, Claim.id == Verdict.claim_id)
        .where(Verdict.claim_id == paper.headline_claim_id)
    )
    if as_of is None:
        query = query.where(Verdict.is_current)
    else:
        query = (
            query.join(PaperVersion, PaperVersion.id == Verdict.paper_version_id)
            .where(PaperVersion.version <= as_of)
            .ext(distinct_on(Verdict.kind))
            .order_by(Verdict.kind, Verdict.sequence.desc())
        )
    return {v.kind: document_verdict(v, claim, paper.arxiv_id) for v, claim in session.execute(query)}


def build_document(session: Session, paper: Paper, as_of: int | None = None) -> PaperDocumentRead | None:
    """The document of a paper, or as of one of its versions; None where there is no such version."""
    query = select(PaperVersion).where(PaperVersion.paper_id == paper.id)
    query = query.where(PaperVersion.version == as_of) if as_of else query.order_by(PaperVersion.version.desc())
    version = session.scalar(query.limit(1))
    if version is None:
        return None
    verdicts = _verdicts(session, paper, as_of)
    post, pre = verdicts.get(VerdictKind.POST), verdicts.get(VerdictKind.PRE)
    return PaperDocumentRead(
        paper=PaperRead(
            arxiv_id=paper.arxiv_id,
            title=paper.title,
            abstract=paper.abstract,
            primary_category=paper.primary_category,
            venue=paper.venue,
            published_at=paper.published_at,
            latest_version=version.version,
            withdrawn=paper.withdrawn,
        ),
        latest_version=version_read(version),
        verdict=post or pre,
        verdicts=DocumentVerdicts(post=post, pre=pre),
    )


def write_document(session: Session, paper: Paper) -> str:
    """Rewrite the prepared document and what the list shows of it; returns the new ETag.

    Call it after every change that shows in the document, in the same transaction, holding the lock on the paper's row.
    """
    session.flush()
    document = build_document(session, paper)
    if document is None:
        message = f"paper {paper.arxiv_id} has no version"
        raise AssertionError(message)
    paper.headline_status = document.verdict.status if document.verdict else None
    paper.newest_verdict_at = (
        session.scalar(select(func.max(Verdict.computed_at)).where(Verdict.paper_id == paper.id)) or EPOCH
    )
    body = document.model_dump_json().encode()
    values = {"etag": etag_of(body), "body": body, "written_at": now()}
    session.execute(
        insert(PaperDocument)
        .values(paper_id=paper.id, **values)
        .on_conflict_do_update(index_elements=["paper_id"], set_=values)
    )
    return etag_of(body)
