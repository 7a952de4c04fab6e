"""Register a paper, or replace its metadata."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.access.audit import record
from app.models import Paper, PaperAlias
from app.papers.add_version import add_version
from app.papers.document import EPOCH, write_document
from app.papers.errors import PaperExistsError
from app.papers.find import find_paper
from app.papers.ids import PaperRef
from app.papers.recorded import recorded
from app.papers.schemas import PaperPut, VersionPost


def register_paper(
    session: Session, ref: PaperRef, put: PaperPut, *, version_id: UUID | None = None, first: VersionPost | None = None
) -> tuple[Paper, bool]:
    """Register the paper with its version 1, or replace the metadata of the one that is there.

    Returns the paper, locked, and whether it is new. `version_id` and `first` are for imports, which keep ids.
    Raises PaperExistsError where the id is the former id of another paper.
    """
    metadata = put.model_dump(exclude={"source_url"})
    made = session.scalar(
        insert(Paper)
        .values(arxiv_id=ref.arxiv_id, newest_verdict_at=EPOCH, **metadata)
        .on_conflict_do_nothing(index_elements=["arxiv_id"])
        .returning(Paper.id)
    )
    # The insert has waited for whoever was just giving up or taking this id; what became of it is visible from here on.
    refuse_alias(session, ref.arxiv_id)
    paper = find_paper(session, ref, lock=True)
    if made is None:
        with recorded(session, paper):
            for name, value in metadata.items():
                setattr(paper, name, value)
    else:
        record(session, "paper.registered", f"papers/{paper.arxiv_id}", {"title": paper.title})
        default = None if ref.is_draft else f"https://arxiv.org/abs/{ref.arxiv_id}"
        source = str(put.source_url) if put.source_url else default
        post = first or VersionPost.model_validate({"source_url": source})
        add_version(session, paper, post, version_id=version_id)
        write_document(session, paper)
    return paper, made is not None


def refuse_alias(session: Session, arxiv_id: str) -> None:
    """Raise PaperExistsError where the id once was another paper's draft id."""
    owner = session.scalar(
        select(Paper.arxiv_id).join(PaperAlias, PaperAlias.paper_id == Paper.id).where(PaperAlias.alias == arxiv_id)
    )
    if owner is not None:
        detail = f"{arxiv_id} is the former id of {owner}. Change that paper, or choose another draft id."
        raise PaperExistsError(detail)
