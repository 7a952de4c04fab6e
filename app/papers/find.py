"""Find a paper by a reference, following a draft to the id it got."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import Paper, PaperAlias, PaperVersion
from app.papers.errors import PaperMovedError, PaperNotFoundError, VersionNotFoundError
from app.papers.ids import PaperRef


def find_paper(session: Session, ref: PaperRef, *, lock: bool = False, location: str | None = None) -> Paper:
    """The paper, with its row locked until the transaction ends where `lock` asks for it.

    Everything that changes a paper's document takes this lock first, so that documents are rewritten one by one.
    Raises PaperMovedError (with `location`, where {id} stands for the new id) or PaperNotFoundError.
    """
    query = select(Paper).where(Paper.arxiv_id == ref.arxiv_id)
    paper = session.scalar(query.with_for_update() if lock else query)
    if paper is not None:
        return paper
    moved_to = session.scalar(
        select(Paper.arxiv_id).join(PaperAlias, PaperAlias.paper_id == Paper.id).where(PaperAlias.alias == ref.arxiv_id)
    )
    if moved_to is None:
        raise PaperNotFoundError(ref.arxiv_id)
    raise PaperMovedError(ref.arxiv_id, moved_to, (location or "/v1/papers/{id}").format(id=moved_to))


def find_present_paper(session: Session, ref: PaperRef) -> Paper:
    """The paper, also by the id it had as a draft: for those who have no other address to send their reader to."""
    try:
        return find_paper(session, ref)
    except PaperMovedError as moved:
        return find_paper(session, PaperRef(moved.arxiv_id))


def lock_paper(session: Session, paper_id: UUID) -> Paper:
    """The paper with this key, locked until the transaction ends."""
    return session.scalars(select(Paper).where(Paper.id == paper_id).with_for_update()).one()


def find_version(session: Session, paper: Paper, number: int | None) -> PaperVersion:
    """The version with this number, or the latest. Raises VersionNotFoundError."""
    query = select(PaperVersion).where(PaperVersion.paper_id == paper.id)
    query = query.where(PaperVersion.version == number) if number else query.order_by(PaperVersion.version.desc())
    version = session.scalar(query.limit(1))
    if version is None:
        detail = f"{paper.arxiv_id} has no version {number} here; GET /v1/papers/{paper.arxiv_id}/versions lists them."
        raise VersionNotFoundError(detail)
    return version
