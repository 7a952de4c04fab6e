"""Claims with what stands for them, as lists show them: columns alone, as whole objects take five times as long."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import and_, exists, func, select, true
from sqlalchemy.orm import Session

from app.core.pagination import decode_cursor, encode_cursor
from app.models import Claim, Evidence, Paper, Prediction, Verdict, VerdictKind
from app.protocol.axes import is_recount

_LISTING: Final = "claim-lines"
_READ = (
    select(
        Paper.arxiv_id,
        Claim.id.label("claim_id"),
        Claim.row,
        Claim.column,
        Claim.reported_value,
        Claim.decimals,
        Claim.unit,
        (Paper.headline_claim_id == Claim.id).label("is_headline"),
        Verdict.id.label("verdict_id"),
        Verdict.kind,
        Verdict.status,
        Verdict.score,
        Verdict.confidence,
        Verdict.protocol_match,
        Verdict.computed_at,
        Verdict.decision,
        Verdict.protocol_axes["model"].astext.label("model"),
    )
    .select_from(Claim)
    .join(Paper, Paper.id == Claim.paper_id)
    .outerjoin(Verdict, and_(Verdict.claim_id == Claim.id, Verdict.is_current))
)


_FINGERPRINT: Final = Evidence.content["facts"]["data"]["fingerprint"].astext
_HAS_PREDICTIONS: Final = exists().where(Prediction.evidence_id == Verdict.evidence_id)


@dataclass(frozen=True, slots=True)
class Standing:
    """A verdict that stands, without what only its own page shows."""

    id: UUID
    kind: VerdictKind
    status: str
    score: float
    confidence: float
    protocol_match: str
    computed_at: datetime
    decision: dict[str, Any] | None
    model: str | None
    """The axis of its protocol; None where none is stated."""

    @property
    def is_recount(self) -> bool:
        """Whether the authors' own predictions were scored again, and no model was run."""
        return is_recount(self.model)


@dataclass(frozen=True, slots=True)
class ClaimLine:
    """A claim, and what stands for it by kind."""

    arxiv_id: str
    id: UUID
    row: str
    column: str
    reported_value: Decimal
    decimals: int
    unit: str
    is_headline: bool
    standing: dict[VerdictKind, Standing]

    @property
    def verdict(self) -> Standing | None:
        """POST before PRE, as in the paper document."""
        return self.standing.get(VerdictKind.POST) or self.standing.get(VerdictKind.PRE)


@dataclass(frozen=True, slots=True)
class Choice:
    """A verdict to be chosen from a list."""

    id: UUID
    row: str
    column: str
    unit: str
    status: str
    score: float
    computed_at: datetime


def verdict_choices(session: Session, arxiv_id: str, data: str | None, limit: int) -> list[Choice]:
    """The paper's newest verdicts that can be compared item by item with one about this data.

    `data` is the fingerprint of the split that was measured; where one states none, items are matched by their ids.
    """
    same = func.coalesce(_FINGERPRINT, data) == data if data is not None else true()
    query = (
        select(Verdict.id, Claim.row, Claim.column, Claim.unit, Verdict.status, Verdict.score, Verdict.computed_at)
        .join(Claim, Claim.id == Verdict.claim_id)
        .join(Paper, Paper.id == Verdict.paper_id)
        .join(Evidence, Evidence.id == Verdict.evidence_id)
        .where(Paper.arxiv_id == arxiv_id, _HAS_PREDICTIONS, same)
        .order_by(Verdict.computed_at.desc(), Verdict.id.desc())
    )
    return [Choice(*row) for row in session.execute(query.limit(limit))]


def with_predictions(session: Session, ids: Collection[UUID]) -> set[UUID]:
    """Those of these verdicts that can be compared item by item."""
    return set(session.scalars(select(Verdict.id).where(Verdict.id.in_(ids), _HAS_PREDICTIONS))) if ids else set()


def headline_lines(session: Session, arxiv_ids: Collection[str]) -> dict[str, ClaimLine]:
    """The headline claim of each of these papers, by the paper's id."""
    if not arxiv_ids:
        return {}
    rows = session.execute(_READ.where(Paper.arxiv_id.in_(arxiv_ids), Paper.headline_claim_id == Claim.id))
    return {line.arxiv_id: line for line in _lines(rows)}


def claim_lines(session: Session, paper_id: UUID, limit: int, cursor: str | None) -> tuple[list[ClaimLine], str | None]:
    """A page of the paper's claims in the order in which they were registered, and the cursor of the next one."""
    after = decode_cursor(_LISTING, cursor, lambda key: UUID(key[0]))
    page = select(Claim.id).where(Claim.paper_id == paper_id).order_by(Claim.id).limit(limit + 1)
    page = page.where(Claim.id > after) if after is not None else page
    rows = session.execute(_READ.where(Claim.id.in_(page.scalar_subquery())).order_by(Claim.id))
    lines = _lines(rows)
    following = encode_cursor(_LISTING, [str(lines[limit - 1].id)]) if len(lines) > limit else None
    return lines[:limit], following


def _lines(rows: Iterable[Any]) -> list[ClaimLine]:
    found: dict[UUID, ClaimLine] = {}
    for row in rows:
        arxiv_id, claim_id, name, column, reported, decimals, unit, is_headline, verdict_id, kind, *rest = row
        line = found.get(claim_id)
        if line is None:
            line = ClaimLine(arxiv_id, claim_id, name, column, reported, decimals, unit, bool(is_headline), {})
            found[claim_id] = line
        if verdict_id is not None:
            line.standing[kind] = Standing(verdict_id, kind, *rest)
    return list(found.values())
