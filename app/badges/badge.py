"""What a paper's badge says."""

from contextlib import suppress
from typing import Final

from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import Paper
from app.papers.errors import PaperNotFoundError
from app.papers.find import find_paper
from app.papers.ids import PaperRef

LABEL: Final = "verdict"
NOTHING: Final = ("no verdict", "lightgrey")
WORDS: Final = {
    "reproduced": ("reproduced", "brightgreen"),
    "not_reproduced": ("not reproduced", "red"),
    "inconclusive": ("inconclusive", "yellow"),
}


class BadgeRead(BaseModel):
    """A badge in the endpoint schema of shields.io."""

    schemaVersion: int = Field(default=1, description="Of the endpoint schema.")  # noqa: N815  # shields' name
    label: str = LABEL
    message: str = Field(examples=["reproduced"])
    color: str = Field(examples=["brightgreen"])


def read_badge(session: Session, ref: PaperRef) -> BadgeRead:
    """The badge of the paper's `verdict`; of a paper without one, or that nobody knows, an honest "no verdict".

    Raises PaperMovedError for the former id of a draft.
    """
    status = session.scalar(select(Paper.headline_status).where(Paper.arxiv_id == ref.arxiv_id))
    if status is None:
        with suppress(PaperNotFoundError):
            find_paper(session, ref, location="/v1/papers/{id}/badge.json")
    message, color = WORDS.get(status or "", NOTHING)
    return BadgeRead(message=message, color=color)
