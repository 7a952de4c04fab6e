"""Changes of a paper, with its document rewritten and what changed in the audit log."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.access.audit import record
from app.models import Paper, PaperDocument
from app.papers.document import write_document

_FIELDS: Final = (
    "arxiv_id",
    "title",
    "abstract",
    "primary_category",
    "venue",
    "published_at",
    "withdrawn",
    "headline_claim_id",
)


@contextmanager
def recorded(session: Session, paper: Paper) -> Iterator[None]:
    """Rewrite the locked paper's document after the block, and record which fields it changed, from what to what."""
    before = {name: getattr(paper, name) for name in _FIELDS}
    etag = session.scalar(select(PaperDocument.etag).where(PaperDocument.paper_id == paper.id))
    yield
    new_etag = write_document(session, paper)
    changed = {name: [old, new] for name, old in before.items() if (new := getattr(paper, name)) != old}
    if changed:
        record(session, "paper.changed", f"papers/{paper.arxiv_id}", {**changed, "etag": [etag, new_etag]})
