"""What a paper's badge says."""

from typing import Final, NamedTuple
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from app.models import Paper, Verdict, VerdictKind
from app.papers.errors import PaperNotFoundError
from app.papers.find import find_paper
from app.papers.ids import PaperRef
from app.protocol.axes import is_recount
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


_HEADLINE: Final = (
    select(Paper.headline_status, Verdict.protocol_axes["model"].astext)
    .outerjoin(Verdict, and_(Verdict.claim_id == Paper.headline_claim_id, Verdict.is_current))
    .order_by(Verdict.kind)  # POST < PRE
    .limit(1)
)


class BadgeRead(BaseModel):
    """A badge in the endpoint schema of shields.io."""

    schemaVersion: int = Field(default=1, description="Of the endpoint schema.")  # noqa: N815  # shields' name
    label: str = LABEL
    message: str = Field(examples=["reproduced"])
    color: str = Field(examples=["brightgreen"])


class Shown(NamedTuple):
    """A badge, and whether its verdict is of released predictions."""

    badge: BadgeRead
    is_recount: bool = False


def read_badge(
    session: Session, ref: PaperRef, *, claim: UUID | None = None, kind: VerdictKind | None = None, place: str
) -> Shown:
    """The badge of the paper's `verdict`, or of the standing one of a claim and a kind of its.

    Of a paper or a claim that nobody knows, or without a verdict, an honest "no verdict". The label names the kind and
    the claim's column where they were asked for. `place` is the badge's file name.
    Raises PaperMovedError for the former id of a draft.
    """
    label = f"{kind.value} {LABEL}" if kind is not None else LABEL
    if claim is None and kind is None:
        row = session.execute(_HEADLINE.where(Paper.arxiv_id == ref.arxiv_id)).first()
        if row is not None and row[0] is not None:
            return _badge(label, *row)
    try:
        paper = find_paper(session, ref, location=f"/v1/papers/{{id}}/{place}")
    except PaperNotFoundError:
        return _badge(label)
    known = claim_of_paper(session, paper, claim) if claim is not None else None
    if known is not None:
        label = _cut(f"{label}: {known.row}, {known.column}")
    if (claim is None and kind is None) or (claim is not None and known is None):
        return _badge(label)
    verdict = standing_verdict(session, paper, claim, kind)
    return _badge(label, verdict.status, (verdict.protocol_axes or {}).get("model")) if verdict else _badge(label)


def _badge(label: str, status: str | None = None, model: str | None = None) -> Shown:
    message, color = WORDS.get(status or "", NOTHING)
    return Shown(BadgeRead(label=label, message=message, color=color), is_recount(model))


def _cut(text: str) -> str:
    line = "".join(char for char in " ".join(text.split()) if char.isprintable())
    return line if len(line) <= LONGEST_LABEL else line[: LONGEST_LABEL - 1].rstrip() + "…"
