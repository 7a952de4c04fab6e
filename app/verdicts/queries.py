"""Reading verdicts: one, a paper's history, the feed, what stands for many claims at once, and the evidence."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Integer, Row, Select, bindparam, func, select, tuple_
from sqlalchemy.orm import Session

from app.core.pagination import Page, decode_cursor, encode_cursor
from app.models import Claim, Evidence, Paper, PaperVersion, Prediction, Verdict, VerdictKind
from app.papers.find import find_paper, find_version
from app.papers.ids import PaperRef
from app.papers.schemas import ClaimCitation
from app.verdicts.errors import NoEvidenceError, VerdictNotFoundError
from app.verdicts.schemas import EvidenceRead, VerdictRead

_SHOWN: Final = {
    "id": Verdict.id,
    "kind": Verdict.kind,
    "status": Verdict.status,
    "score": Verdict.score,
    "confidence": Verdict.confidence,
    "agent_version": Verdict.agent_version,
    "computed_at": Verdict.computed_at,
    "is_current": Verdict.is_current,
    "protocol_match": Verdict.protocol_match,
    "claim_id": Verdict.claim_id,
    "sequence": Verdict.sequence,
    "supersedes": Verdict.supersedes_id,
    "superseded_by": Verdict.superseded_by_id,
    "superseded_at": Verdict.superseded_at,
    "origin": Verdict.origin,
    "reproduction": Verdict.reproduction_id,
    "protocol_axes": Verdict.protocol_axes,
    "estimate": Verdict.decision,
}
"""The columns by what they are called where a verdict is shown: of a page, whole objects cost twice as much."""
_CITED: Final[dict[str, Any]] = {
    name: getattr(Claim, name) for name in ClaimCitation.model_fields if name != "paper_arxiv_id"
}
_READ = (
    select(*_SHOWN.values(), Paper.arxiv_id, PaperVersion.version, *_CITED.values())
    .join(Claim, Claim.id == Verdict.claim_id)
    .join(Paper, Paper.id == Verdict.paper_id)
    .join(PaperVersion, PaperVersion.id == Verdict.paper_version_id)
)
_VERDICTS: Final = TypeAdapter(list[VerdictRead])
Place: TypeAlias = tuple[datetime, UUID]
"""Where a verdict stands in a list."""
_NEWEST: Final[Place] = (datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictFilter:
    """What a list of verdicts is narrowed to."""

    paper: PaperRef | None = None
    claim: UUID | None = None
    kind: VerdictKind | None = None
    status: str | None = None
    is_current: bool | None = None

    @property
    def is_plain(self) -> bool:
        """Whether it is the whole feed, or the whole history of a paper."""
        narrowed = (self.claim, self.kind, self.status, self.is_current, self.paper and self.paper.version)
        return all(one is None for one in narrowed)


def read_verdict(session: Session, verdict_id: UUID) -> VerdictRead:
    """One verdict. Raises VerdictNotFoundError."""
    found = _read(session.execute(_READ.where(Verdict.id == verdict_id)))
    if not found:
        raise VerdictNotFoundError(verdict_id)
    return found[0]


def read_verdicts(session: Session, verdict_ids: Collection[UUID]) -> dict[UUID, VerdictRead]:
    """These verdicts, by id."""
    found = _read(session.execute(_READ.where(Verdict.id.in_(verdict_ids)))) if verdict_ids else []
    return {verdict.id: verdict for verdict in found}


def list_verdicts(
    session: Session, wanted: VerdictFilter, limit: int, cursor: str | None, paper: Paper | None = None
) -> Page[VerdictRead]:
    """A page of verdicts, newest first. `paper` is that of the filter, where it was found before."""
    if wanted.paper is not None:
        paper = paper or find_paper(session, wanted.paper, location="/v1/papers/{id}/verdicts")
    before = decode_cursor("verdicts", cursor, lambda key: (_moment(int(key[0])), UUID(key[1])))
    query = _filtered(session, wanted, paper).where(*_starting(wanted, paper, before))
    query = query.order_by(Verdict.computed_at.desc(), Verdict.id.desc())
    rows = session.execute(query.limit(_most(wanted, limit + 1))).all()
    items = _read(rows[:limit])
    following = None
    if len(rows) > limit:
        last = items[-1]
        following = encode_cursor("verdicts", [round(last.computed_at.timestamp() * 1000), str(last.id)])
    return Page(items=items, next_cursor=following)


def current_verdicts(session: Session, claim_ids: Collection[UUID]) -> dict[UUID, dict[VerdictKind, VerdictRead]]:
    """What stands for each of these claims, by kind."""
    found: dict[UUID, dict[VerdictKind, VerdictRead]] = defaultdict(dict)
    if claim_ids:
        query = _READ.where(Verdict.claim_id.in_(claim_ids), Verdict.is_current)
        for verdict in _read(session.execute(query)):
            found[verdict.claim_id][verdict.kind] = verdict
    return dict(found)


def status_counts(session: Session, arxiv_ids: Collection[str]) -> dict[str, dict[str, int]]:
    """How many verdicts of each status stand for these papers, whatever their claims and kinds."""
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    if arxiv_ids:
        query = (
            select(Paper.arxiv_id, Verdict.status, func.count())
            .join(Verdict, Verdict.paper_id == Paper.id)
            .where(Paper.arxiv_id.in_(arxiv_ids), Verdict.is_current)
            .group_by(Paper.arxiv_id, Verdict.status)
        )
        for arxiv_id, status, number in session.execute(query):
            counts[arxiv_id][status] = number
    return dict(counts)


def read_evidence(session: Session, verdict_id: UUID) -> EvidenceRead:
    """The evidence of a verdict. Raises VerdictNotFoundError, NoEvidenceError."""
    return evidence_read(session, verdict_id, find_evidence(session, verdict_id))


def evidence_read(session: Session, verdict_id: UUID, evidence: Evidence) -> EvidenceRead:
    """The evidence row as it is served."""
    count = session.scalar(select(func.count()).where(Prediction.evidence_id == evidence.id)) or 0
    return EvidenceRead.model_validate({"verdict_id": verdict_id, "predictions": count, **(evidence.content or {})})


def find_evidence(session: Session, verdict_id: UUID) -> Evidence:
    """The evidence row of a verdict. Raises VerdictNotFoundError, NoEvidenceError."""
    verdict = session.get(Verdict, verdict_id)
    if verdict is None:
        raise VerdictNotFoundError(verdict_id)
    if verdict.evidence_id is None:
        raise NoEvidenceError(verdict_id)
    return session.get_one(Evidence, verdict.evidence_id)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _most(wanted: VerdictFilter, rows: int) -> int | ColumnElement[int]:
    """How many rows are read: as a number in the statement where Postgres may keep one plan for all values.

    To plan costs more than to read a page. Where a filter has values of which some are rare and some are not, each is
    planned for.
    """
    return bindparam(None, rows, Integer, literal_execute=True) if wanted.is_plain else rows


def _starting(wanted: VerdictFilter, paper: Paper | None, before: Place | None) -> list[ColumnElement[bool]]:
    """What comes behind this place.

    A history says its paper once more: while all verdicts are one paper's, the plan that is kept would else be to walk
    the feed and leave out what is of other papers, and the next paper would pay for it.
    """
    conditions = [tuple_(Verdict.computed_at, Verdict.id) < before] if before is not None else []
    if paper is not None and wanted.is_plain:
        place = tuple_(Verdict.paper_id, Verdict.computed_at, Verdict.id)
        conditions.append(place <= (paper.id, *_NEWEST))
    return conditions


def _filtered(session: Session, wanted: VerdictFilter, paper: Paper | None) -> Select[*tuple[Any, ...]]:
    query = _READ
    if wanted.paper is not None and paper is not None:  # both or neither
        query = query.where(Verdict.paper_id == paper.id)
        if wanted.paper.version is not None:
            query = query.where(Verdict.paper_version_id == find_version(session, paper, wanted.paper.version).id)
    if wanted.claim is not None:
        query = query.where(Verdict.claim_id == wanted.claim)
    if wanted.kind is not None:
        query = query.where(Verdict.kind == wanted.kind)
    if wanted.status is not None:
        query = query.where(Verdict.status == wanted.status)
    if wanted.is_current is not None:
        query = query.where(Verdict.is_current if wanted.is_current else ~Verdict.is_current)
    return query


def _read(rows: Iterable[Row[*tuple[Any, ...]]]) -> list[VerdictRead]:
    """The verdicts of these rows. Most of a page are of one claim: it is made once."""
    citations: dict[UUID, ClaimCitation] = {}
    found = []
    for row in rows:
        verdict = dict(zip(_SHOWN, row, strict=False))
        arxiv_id, version, *claim = row[len(_SHOWN) :]
        claim_id = verdict["claim_id"]
        if claim_id not in citations:
            citations[claim_id] = ClaimCitation(paper_arxiv_id=arxiv_id, **dict(zip(_CITED, claim, strict=True)))
        verdict.update(paper_arxiv_id=arxiv_id, paper_version=version, claim_citation=citations[claim_id])
        found.append(verdict)
    return _VERDICTS.validate_python(found)
