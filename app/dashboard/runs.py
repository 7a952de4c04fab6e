"""The live queue, one run while it runs, and who works."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from fastapi import Request, Response
from sqlalchemy.orm import Session

from app.claims.queries import read_claim
from app.core.pagination import CursorQuery
from app.core.web import SessionDep
from app.dashboard.asked import PAGE, further, without_cursor
from app.dashboard.charts import Band, Label, Scale
from app.dashboard.render import page
from app.dashboard.routes import page_router
from app.models import ReproductionState
from app.reproductions.queries import (
    ReproductionFilter,
    frozen_specs,
    list_ended,
    list_queue,
    list_reproductions,
    read_reproduction,
)
from app.reproductions.schemas import ReproductionRead
from app.reproductions.workers import read_crew
from app.statistics.printed import ReportedValue

router = page_router()
_RUNNING: Final = 50
_ENDED: Final = 15


@dataclass(frozen=True, slots=True)
class Target:
    """What a run is measured against: the reported value with its margin, shares of 1."""

    reported: float
    margin: float
    unit: str
    decimals: int
    printed: str
    data: str
    metric: str

    @classmethod
    def of(cls, spec: dict[str, Any]) -> "Target":
        """From the specification that the run was asked with."""
        claim, data = spec["claim"], spec["data"]
        text, unit = claim["reported_value"], claim["unit"]
        value = ReportedValue.from_printed(Decimal(text), unit)
        return cls(
            reported=value.value,
            margin=round(spec["decision"]["margin"] + value.half_digit, 12),
            unit=unit,
            decimals=len(text.partition(".")[2]),
            printed=text,
            data=f"{data['name']} {data['split']}",
            metric=spec.get("metric", "accuracy"),
        )


@dataclass(frozen=True, slots=True)
class Live:
    """A run with what it is measured against, how fast it goes, and its running estimate on an axis."""

    run: ReproductionRead
    target: Target
    rate: float | None
    left_s: float | None
    scale: Scale
    zone: Band
    band: Band | None
    point: Label | None
    reported: float

    @classmethod
    def of(cls, run: ReproductionRead, target: Target) -> "Live":
        """Rate and remaining time are of the run's whole life so far."""
        scale = Scale(target.reported - 4 * target.margin, target.reported + 4 * target.margin)
        rate, left = _pace(run)
        estimate = run.estimate
        return cls(
            run=run,
            target=target,
            rate=rate,
            left_s=left,
            scale=scale,
            zone=Band.on(scale, target.reported - target.margin, target.reported + target.margin),
            band=Band.on(scale, *estimate.interval_95) if estimate else None,
            point=Label(scale.at(estimate.value), "") if estimate else None,
            reported=scale.at(target.reported),
        )


def _pace(run: ReproductionRead) -> tuple[float | None, float | None]:
    """Examples a second between the start and the last sign of life, and the seconds that the rest takes at that."""
    until: datetime | None = run.finished_at or run.heartbeat_at
    if run.started_at is None or until is None or not run.progress.done:
        return None, None
    seconds = (until - run.started_at).total_seconds()
    if seconds <= 0:
        return None, None
    rate = run.progress.done / seconds
    left = None if run.done or not run.progress.total else (run.progress.total - run.progress.done) / rate
    return rate, left


def _live(session: Session, runs: list[ReproductionRead]) -> list[Live]:
    specs = frozen_specs(session, [run.id for run in runs])
    return [Live.of(run, Target.of(specs[run.id])) for run in runs]


@router.get("/queue")
def get_queue(request: Request, session: SessionDep, cursor: CursorQuery = None) -> Response:
    """What runs, what waits, and what has ended lately."""
    running = list_reproductions(session, ReproductionFilter(state=ReproductionState.running), _RUNNING, None)
    waiting = list_queue(session, PAGE, cursor)
    return page(
        request,
        "queue.html",
        running=_live(session, running.items),
        more_running=running.next_cursor is not None,
        waiting=waiting.items,
        first_page=without_cursor(request) if cursor else None,
        next_page=further(request, waiting.next_cursor),
        ended=list_ended(session, _ENDED),
    )


@router.get("/reproductions/{reproduction_id}")
def get_run(request: Request, session: SessionDep, reproduction_id: UUID) -> Response:
    """One run: where it is, how far, and what it says so far."""
    run = read_reproduction(session, reproduction_id)
    (live,) = _live(session, [run])
    return page(request, "run.html", live=live, run=run, claim=read_claim(session, run.claim_id))


@router.get("/workers")
def get_workers(request: Request, session: SessionDep) -> Response:
    """Who works, by leases and heartbeats."""
    return page(request, "workers.html", crew=read_crew(session))
