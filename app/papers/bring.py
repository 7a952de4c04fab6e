"""Bring in a paper's metadata from elsewhere: register it, or bring what is known of it up to date."""

from sqlalchemy.orm import Session

from app.models import Paper
from app.papers.change import change_paper
from app.papers.errors import PaperMovedError, PaperNotFoundError
from app.papers.find import find_paper
from app.papers.ids import PaperRef
from app.papers.register import register_paper
from app.papers.schemas import PaperPatch, PaperPut


def bring_paper(session: Session, ref: PaperRef, put: PaperPut) -> tuple[Paper, bool]:
    """The paper, and whether it is new. What the metadata do not say stays as it is here."""
    paper = known_paper(session, ref)
    if paper is None:
        return register_paper(session, ref, put)
    change_paper(session, paper, PaperPatch.model_validate(put.model_dump(exclude_unset=True, exclude_none=True)))
    return paper, False


def known_paper(session: Session, ref: PaperRef) -> Paper | None:
    """The paper, locked, or None; a draft's former id is nobody's here, and registering refuses it."""
    try:
        return find_paper(session, ref, lock=True)
    except (PaperNotFoundError, PaperMovedError):
        return None
