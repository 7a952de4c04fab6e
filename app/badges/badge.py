"""What a paper's badge says."""

from typing import Final
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import Paper, VerdictKind
from app.papers.errors import PaperNotFoundError
from app.papers.find import find_paper
from app.papers.ids import PaperRef
from app.verdicts.standing import claim_of_paper, standing_verdict

LABEL: Final = "verdict"
LONGEST_LABEL: Final = 60
"""Characters. A badge stands in a line of text."""
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


def read_badge(
    session: Session, ref: PaperRef, *, claim: UUID | None = None, kind: VerdictKind | None = None, place: str
) -> BadgeRead:
    """The badge of the paper's `verdict`, or of the standing one of a claim and a kind of its.

    Of a paper or a claim that nobody knows, or without a verdict, an honest "no verdict". The label names the kind and
    the claim's column where they were asked for. `place` is the badge's file name.
    Raises PaperMovedError for the former id of a draft.
    """
    label = f"{kind.value} {LABEL}" if kind is not None else LABEL
    if claim is None and kind is None:
        status = session.scalar(select(Paper.headline_status).where(Paper.arxiv_id == ref.arxiv_id))
        if status is not None:
            return _badge(label, status)
    try:
        paper = find_paper(session, ref, location=f"/v1/papers/{{id}}/{place}")
    except PaperNotFoundError:
        return _badge(label, None)
    known = claim_of_paper(session, paper, claim) if claim is not None else None
    if known is not None:
        label = _cut(f"{label}: {known.row}, {known.column}")
    if (claim is None and kind is None) or (claim is not None and known is None):
        return _badge(label, None)
    verdict = standing_verdict(session, paper, claim, kind)
    return _badge(label, verdict.status if verdict else None)


def _badge(label: str, status: str | None) -> BadgeRead:
    message, color = WORDS.get(status or "", NOTHING)
    return BadgeRead(label=label, message=message, color=color)


def _cut(text: str) -> str:
    line = "".join(char for char in " ".join(text.split()) if char.isprintable())
    return line if len(line) <= LONGEST_LABEL else line[: LONGEST_LABEL - 1].rstrip() + "…"
