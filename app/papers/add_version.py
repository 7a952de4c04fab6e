"""Add a version to a paper."""

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.access.audit import record
from app.models import Paper, PaperVersion
from app.models.base import new_id
from app.papers.schemas import VersionPost


def add_version(session: Session, paper: Paper, post: VersionPost, *, version_id: UUID | None = None) -> PaperVersion:
    """Add the next version. The paper's row has to be locked; the caller rewrites the document."""
    number = session.scalar(select(func.max(PaperVersion.version)).where(PaperVersion.paper_id == paper.id)) or 0
    version = PaperVersion(
        id=version_id or new_id(), paper_id=paper.id, version=number + 1, **post.model_dump(mode="json")
    )
    session.add(version)
    session.flush()
    facts = {"source_url": version.source_url, "rendered_html_url": version.rendered_html_url}
    record(session, "version.added", f"papers/{paper.arxiv_id}/versions/{version.version}", facts)
    return version
