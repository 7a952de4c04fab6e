"""The papers with their verdicts, and one paper."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import Query, Request, Response
from pydantic import BeforeValidator
from sqlalchemy.orm import Session

from app.claims.errors import ClaimNotFoundError
from app.claims.queries import list_claims, read_claim, read_claims
from app.claims.schemas import ClaimRead
from app.core.pagination import CursorQuery
from app.core.web import SessionDep, SettingsDep
from app.dashboard.asked import PAGE, KindField, LongWords, Words, further, without_cursor
from app.dashboard.charts import Axis, Measured, Mini, Scale
from app.dashboard.detail import detail_of, measured_text, reported_share
from app.dashboard.numbers import printed
from app.dashboard.render import page
from app.dashboard.routes import page_router
from app.models import VerdictKind
from app.papers.ids import PAPER_PATH, PaperRef, PaperRefDep
from app.papers.queries import PaperFilter, Sort, list_papers, read_document
from app.papers.schemas import PaperDocumentRead, PaperSummary
from app.reproductions.queries import ReproductionFilter, list_reproductions
from app.verdicts.queries import (
    VerdictFilter,
    current_verdicts,
    headline_verdicts,
    list_verdicts,
    status_counts,
)
from app.verdicts.schemas import VerdictRead

router = page_router()
_RUNS: Final = 5
_HISTORY: Final = 20
_CLAIMS: Final = 50

StatusChoice = Annotated[
    Literal["", "reproduced", "not_reproduced", "inconclusive", "none"], Query(description="Of its verdict.")
]
WithdrawnChoice = Literal["", "true", "false"]


@dataclass(frozen=True, slots=True)
class PaperRow:
    """A paper of the list with what stands for it."""

    paper: PaperSummary
    verdict: VerdictRead | None
    reported: str
    measured: str
    mini: Mini | None
    counts: Mapping[str, int]


@router.get("/")
def get_index(
    request: Request,
    session: SessionDep,
    q: Words = None,
    category: Words = None,
    venue: LongWords = None,
    status: StatusChoice = "",
    withdrawn: WithdrawnChoice = "",
    sort: Sort = "-newest_verdict",
    cursor: CursorQuery = None,
) -> Response:
    """The papers: searched, filtered, sorted, a page at a time."""
    wanted = PaperFilter(
        q=q,
        category=category,
        venue=venue,
        status=status or None,
        withdrawn=None if withdrawn == "" else withdrawn == "true",
        sort=sort,
    )
    papers = list_papers(session, wanted, PAGE, cursor)
    narrowed = any((q, category, venue, status, withdrawn))
    return page(
        request,
        "index.html",
        rows=_rows(session, papers.items),
        wanted=wanted,
        wanted_status=status,
        wanted_withdrawn=withdrawn,
        narrowed=narrowed,
        first_page=without_cursor(request) if cursor else None,
        next_page=further(request, papers.next_cursor),
    )


def _rows(session: Session, papers: list[PaperSummary]) -> list[PaperRow]:
    ids = [paper.arxiv_id for paper in papers]
    verdicts = headline_verdicts(session, ids)
    claims = read_claims(session, [verdict.claim_id for verdict in verdicts.values()])
    counts = status_counts(session, ids)
    rows = []
    for paper in papers:
        verdict = verdicts.get(paper.arxiv_id)
        claim = claims.get(verdict.claim_id) if verdict else None
        reported, measured, mini = _numbers(verdict, claim)
        rows.append(PaperRow(paper, verdict, reported, measured, mini, counts.get(paper.arxiv_id, {})))
    return rows


def _numbers(verdict: VerdictRead | None, claim: ClaimRead | None) -> tuple[str, str, Mini | None]:
    """Reported and measured as they are written, and where the difference stands."""
    if claim is None or verdict is None:
        return printed(claim) if claim else "", "", None
    one = Measured.of(reported_share(claim), verdict.score, verdict.estimate)
    return printed(claim), measured_text(one.measured, claim), Mini.of(one)


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """A claim of the paper, with its verdict of the kind that is shown."""

    claim: ClaimRead
    reported: str
    verdict: VerdictRead | None
    measured: str
    mini: Mini | None


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """A verdict of the history on the axis that all of them share."""

    verdict: VerdictRead
    measured: str
    axis: Axis


ClaimField = Annotated[UUID | None, BeforeValidator(lambda value: value or None), Query()]


@router.get(PAPER_PATH)
def get_paper(
    request: Request,
    session: SessionDep,
    settings: SettingsDep,
    ref: PaperRefDep,
    claim: ClaimField = None,
    kind: KindField = None,
    claims: CursorQuery = None,
    history: CursorQuery = None,
) -> Response:
    """One paper, at present or as of a version; the headline claim, or another that is asked for."""
    body, _ = read_document(session, ref)
    document = PaperDocumentRead.model_validate_json(body)
    listed = list_claims(session, PaperRef(ref.arxiv_id), _CLAIMS, claims)
    chosen = _chosen(session, ref, listed.items, claim, document)
    current = current_verdicts(session, {one.id for one in listed.items} | ({chosen.id} if chosen else set()))
    lines = current.get(chosen.id, {}) if chosen else {}
    wanted = VerdictFilter(paper=ref, claim=chosen.id if chosen else None)
    past = list_verdicts(session, wanted, _HISTORY, history)
    shown = _shown(lines, past.items, kind, as_of=ref.version)
    runs = list_reproductions(session, ReproductionFilter(paper=PaperRef(ref.arxiv_id)), _RUNS, None)
    return page(
        request,
        "paper.html",
        ref=ref,
        paper=document.paper,
        version=document.latest_version,
        claim=chosen,
        detail=detail_of(session, shown, chosen, settings.catalogue_dir) if shown and chosen else None,
        kinds=sorted(lines, reverse=True),
        claims=[_claim_row(one, current.get(one.id, {})) for one in listed.items],
        more_claims=further(request, listed.next_cursor, "claims"),
        history=_history(past.items, chosen),
        more_history=further(request, past.next_cursor, "history"),
        runs=runs.items,
        form={"driver": "", "kind": "PRE" if ref.is_draft else "POST", "slice_size": "", "priority": "5"},
        problem=None,
        bad={},
    )


def _chosen(
    session: Session, ref: PaperRef, listed: list[ClaimRead], wanted: UUID | None, document: PaperDocumentRead
) -> ClaimRead | None:
    """The claim that the page is about. Raises ClaimNotFoundError where it is another paper's."""
    known = {one.id: one for one in listed}
    if wanted is not None:
        found = known.get(wanted) or read_claim(session, wanted)
        if found.paper_arxiv_id != ref.arxiv_id:
            detail = f"{wanted} is no claim of {ref.arxiv_id}."
            raise ClaimNotFoundError(detail)
        return found
    headline = next((one for one in listed if one.is_headline), None)
    if headline is None and document.verdict is not None:  # the headline claim is on another page of claims
        stands = headline_verdicts(session, [ref.arxiv_id]).get(ref.arxiv_id)
        return read_claim(session, stands.claim_id) if stands else None
    return headline


def _shown(
    lines: Mapping[VerdictKind, VerdictRead], past: list[VerdictRead], kind: VerdictKind | None, *, as_of: int | None
) -> VerdictRead | None:
    """The verdict that the page is about: of the kind asked for, else POST before PRE; of that version, where asked."""
    if as_of is not None:
        lines = {one.kind: one for one in reversed(past)}
    if kind is not None:
        return lines.get(kind)
    return lines.get(VerdictKind.POST) or lines.get(VerdictKind.PRE)


def _claim_row(claim: ClaimRead, lines: Mapping[VerdictKind, VerdictRead]) -> ClaimRow:
    verdict = lines.get(VerdictKind.POST) or lines.get(VerdictKind.PRE)
    _, measured, mini = _numbers(verdict, claim)
    return ClaimRow(claim, printed(claim), verdict, measured, mini)


def _history(past: list[VerdictRead], claim: ClaimRead | None) -> list[HistoryRow]:
    if claim is None or not past:
        return []
    measured = [Measured.of(reported_share(claim), one.score, one.estimate) for one in past]
    scale = Scale.over([value for one in measured for value in one.extent])
    return [
        HistoryRow(verdict, measured_text(one.measured, claim), Axis.of(one, "", "", claim.unit, scale))
        for verdict, one in zip(past, measured, strict=True)
    ]
