"""The paper document: built from the rows, and kept prepared beside them in the same transaction."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Select, Text, cast, column, func, select, true, values
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import Session

from app.core.clock import now
from app.core.etag import etag_of
from app.core.settle import settle_after_commit
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
    query = select(Verdict, Claim).join(Claim, Claim.id == Verdict.claim_id)
    if as_of is None:
        query = query.where(Verdict.claim_id == paper.headline_claim_id, Verdict.is_current)
    else:
        query = query.where(Verdict.id.in_(_newest_as_of(paper, as_of)))
    return {v.kind: document_verdict(v, claim, paper.arxiv_id) for v, claim in session.execute(query)}


def _newest_as_of(paper: Paper, as_of: int) -> Select[UUID]:
    """The newest verdict of each kind that checked a version up to this one.

    Each version's own newest is the end of an index; those few are compared, however long the history is.
    """
    kinds = values(column("kind", Text), name="kinds").data([(kind.value,) for kind in VerdictKind])
    of_version = (
        select(Verdict.id, Verdict.kind, Verdict.sequence)
        .where(
            Verdict.paper_version_id == PaperVersion.id,
            Verdict.claim_id == paper.headline_claim_id,
            cast(Verdict.kind, Text) == kinds.c.kind,
        )
        .order_by(Verdict.sequence.desc())
        .limit(1)
        .lateral()
    )
    return (
        select(of_version.c.id)
        .select_from(PaperVersion)
        .join(kinds, true())
        .join(of_version, true())
        .where(PaperVersion.paper_id == paper.id, PaperVersion.version <= as_of)
        .ext(distinct_on(of_version.c.kind))
        .order_by(of_version.c.kind, of_version.c.sequence.desc())
    )


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
    settle_after_commit(session)
    return etag_of(body)
