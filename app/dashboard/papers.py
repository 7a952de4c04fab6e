"""One paper: a claim of its with what stands for it, its history, its other claims, its runs."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from markupsafe import Markup
from pydantic import BeforeValidator
from sqlalchemy.orm import Session

from app.claims.errors import ClaimNotFoundError
from app.claims.queries import read_claim
from app.claims.schemas import ClaimRead
from app.core.pagination import CursorQuery
from app.core.web import SessionDep, SettingsDep
from app.dashboard.asked import KindField, further
from app.dashboard.charts import Axis, Label, Measured, Scale
from app.dashboard.compared import Compared
from app.dashboard.detail import detail_of, measured_text, reported_share
from app.dashboard.drawings import forest
from app.dashboard.render import page
from app.dashboard.routes import page_router
from app.models import Paper, VerdictKind
from app.papers.find import find_paper, find_version
from app.papers.ids import PAPER_PATH, PaperRef, PaperRefDep
from app.protocol.axes import is_recount
from app.reproductions.queries import ReproductionFilter, list_in_flight, list_reproductions
from app.verdicts.lines import ClaimLine, claim_lines, with_predictions
from app.verdicts.queries import VerdictFilter, current_verdicts, list_verdicts, read_verdict
from app.verdicts.schemas import VerdictRead

router: APIRouter = page_router()
_RUNS: Final = 5
_IN_FLIGHT: Final = 3
_HISTORY: Final = 20
_CLAIMS: Final = 50


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """A claim of the paper, with what stands for it."""

    claim: ClaimLine
    numbers: Compared

    @property
    def status(self) -> str | None:
        """Of its verdict."""
        return self.claim.verdict.status if self.claim.verdict else None

    @property
    def is_recount(self) -> bool:
        """Whether no model was run for it."""
        return self.claim.verdict is not None and self.claim.verdict.is_recount


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """A verdict of the history on the axis that all of them share."""

    verdict: VerdictRead
    measured: str
    chart: Markup
    place: int
    """In the choice of two to compare: 1 and 2 are chosen, 3 may be, 0 cannot."""

    @property
    def is_recount(self) -> bool:
        """Whether no model was run for it."""
        axes = self.verdict.protocol_axes
        return axes is not None and is_recount(axes.model)


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
    paper = find_paper(session, ref)
    lines, more_claims = claim_lines(session, paper.id, _CLAIMS, claims)
    chosen = _chosen(session, paper, claim)
    wanted = VerdictFilter(paper=ref, claim=chosen.id if chosen else None)
    past = list_verdicts(session, wanted, _HISTORY, history, paper)
    standing = _standing(session, chosen, lines)
    shown = _shown(session, standing, past.items, kind, as_of=ref.version)
    several = [one.id for one in past.items] if len(past.items) > 1 else []
    ticks, rows = _history(past.items, chosen, with_predictions(session, several))
    return page(
        request,
        "paper.html",
        ref=ref,
        paper=paper,
        version=find_version(session, paper, ref.version),
        latest=find_version(session, paper, None).version if ref.version else None,
        claim=chosen,
        detail=detail_of(session, shown, chosen, settings.catalogue_dir) if shown and chosen else None,
        kinds=sorted(standing, reverse=True),
        claims=[ClaimRow(line, Compared.of(line)) for line in lines],
        more_claims=further(request, more_claims, "claims"),
        history=rows,
        comparable=any(row.place for row in rows),
        history_ticks=ticks,
        more_history=further(request, past.next_cursor, "history"),
        runs=list_reproductions(session, ReproductionFilter(paper=PaperRef(ref.arxiv_id)), _RUNS, None, paper).items,
        under_way=list_in_flight(session, paper.id, chosen.id, _IN_FLIGHT) if chosen else [],
        form={"driver": "", "kind": "PRE" if ref.is_draft else "POST", "slice_size": "", "priority": "5"},
        problem=None,
        bad={},
    )


def _chosen(session: Session, paper: Paper, wanted: UUID | None) -> ClaimRead | None:
    """The claim that the page is about. Raises ClaimNotFoundError where it is another paper's."""
    claim_id = wanted or paper.headline_claim_id
    if claim_id is None:
        return None
    found = read_claim(session, claim_id)
    if found.paper_arxiv_id != paper.arxiv_id:
        detail = f"{wanted} is no claim of {paper.arxiv_id}."
        raise ClaimNotFoundError(detail)
    return found


def _standing(session: Session, chosen: ClaimRead | None, lines: list[ClaimLine]) -> Mapping[VerdictKind, UUID]:
    """What stands for the chosen claim."""
    if chosen is None:
        return {}
    line = next((one for one in lines if one.id == chosen.id), None)
    if line is not None:
        return {kind: one.id for kind, one in line.standing.items()}
    return {kind: one.id for kind, one in current_verdicts(session, [chosen.id]).get(chosen.id, {}).items()}


def _shown(
    session: Session,
    standing: Mapping[VerdictKind, UUID],
    past: list[VerdictRead],
    kind: VerdictKind | None,
    *,
    as_of: int | None,
) -> VerdictRead | None:
    """The verdict that the page is about: of the kind asked for, else POST before PRE; of that version, where asked."""
    if as_of is not None:
        standing = {one.kind: one.id for one in reversed(past)}
    wanted = standing.get(kind) if kind else standing.get(VerdictKind.POST) or standing.get(VerdictKind.PRE)
    if wanted is None:
        return None
    return next((one for one in past if one.id == wanted), None) or read_verdict(session, wanted)


def _history(
    past: list[VerdictRead], claim: ClaimRead | None, comparable: Collection[UUID]
) -> tuple[list[Label], list[HistoryRow]]:
    """The ticks of the axis that the rows share, and the rows."""
    if claim is None or not past:
        return [], []
    measured = [Measured.of(reported_share(claim), one.score, one.estimate) for one in past]
    scale = Scale.over([value for one in measured for value in one.extent])
    rows, choices = [], count(1)
    for verdict, one in zip(past, measured, strict=True):
        text = measured_text(one.measured, claim)
        place = min(next(choices), 3) if len(comparable) > 1 and verdict.id in comparable else 0
        rows.append(HistoryRow(verdict, text, forest(Axis.on(scale, one), f"measured {text}"), place))
    return Axis.ticks_on(scale, claim.unit), rows
