"""The live queue, one run while it runs, and who works."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from fastapi import Request, Response

from app.claims.queries import read_claim
from app.claims.schemas import ClaimRead
from app.core.pagination import CursorQuery
from app.core.web import SessionDep
from app.dashboard import numbers
from app.dashboard.asked import PAGE, further, without_cursor
from app.dashboard.charts import Axis, Band, Label, Measured, Scale
from app.dashboard.reasons import intervals_of, reasons_of
from app.dashboard.render import page
from app.dashboard.routes import page_router
from app.models import ReproductionState
from app.reproductions.course import read_course
from app.reproductions.queries import (
    ReproductionFilter,
    frozen_specs,
    list_ended,
    list_queue,
    list_reproductions,
    read_reproduction,
)
from app.reproductions.schemas import CourseRead, ReproductionSummary
from app.reproductions.workers import read_crew
from app.statistics.metrics import MetricName
from app.statistics.printed import ReportedValue
from app.verdicts.queries import read_verdict, read_verdicts
from app.verdicts.schemas import VerdictRead

router = page_router()
_RUNNING: Final = 50
_ENDED: Final = 15


@dataclass(frozen=True, slots=True)
class Target:
    """What a run is measured against: the reported value with its margin, shares of 1."""

    reported: float
    margin: float
    notation: numbers.Notation
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
            notation=numbers.Notation(unit, len(text.partition(".")[2])),
            printed=text,
            data=f"{data['name']} {data['split']}",
            metric=spec.get("metric", MetricName.accuracy),
        )

    @property
    def shown(self) -> str:
        """The reported value as a table has room for it."""
        return self.notation.printed(self.printed)


@dataclass(frozen=True, slots=True)
class Live:
    """A run with what it is measured against, how fast it goes, and its running estimate on an axis."""

    run: ReproductionSummary
    target: Target
    rate: float | None
    left_s: float | None
    scale: Scale
    zone: Band
    band: Band | None
    point: Label | None
    reported: float

    @classmethod
    def of(cls, run: ReproductionSummary, target: Target) -> "Live":
        """Rate and remaining time are of the run so far."""
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


def _pace(run: ReproductionSummary) -> tuple[float | None, float | None]:
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


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that has ended, with its verdict and the numbers in the claim's unit."""

    run: ReproductionSummary
    verdict: VerdictRead | None
    reported: str
    measured: str

    @classmethod
    def of(cls, run: ReproductionSummary, target: Target, verdicts: Mapping[UUID, VerdictRead]) -> "Ended":
        """What was measured is the verdict's estimate; without one, the accuracy where the run ended."""
        verdict = verdicts.get(run.verdict_id) if run.verdict_id else None
        value: float | None = run.estimate.value if run.estimate else None
        if verdict is not None and verdict.estimate is not None:
            value = verdict.estimate["estimate"]
        measured = "" if value is None else target.notation.share(value)
        return cls(run, verdict, target.shown, measured)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a run: the numbers of its verdict and no others, and why the one follows from the other."""

    verdict: VerdictRead
    measured: str
    intervals: list[tuple[str, str]]
    reason: str
    axis: Axis

    @classmethod
    def of(cls, verdict: VerdictRead, claim: ClaimRead, live: Live) -> "Result | None":
        """None for a verdict that states no more than its status."""
        if verdict.estimate is None:
            return None
        one = Measured.of(live.target.reported, verdict.score, verdict.estimate)
        return cls(
            verdict=verdict,
            measured=live.target.notation.share(one.measured),
            intervals=intervals_of(verdict.estimate, claim),
            reason=reasons_of(verdict, claim)[0],
            axis=Axis.on(live.scale, one),
        )


@router.get("/queue")
def get_queue(request: Request, session: SessionDep, cursor: CursorQuery = None) -> Response:
    """What runs, what waits, and what has recently ended."""
    running = list_reproductions(session, ReproductionFilter(state=ReproductionState.running), _RUNNING, None)
    waiting, ended = list_queue(session, PAGE, cursor), list_ended(session, _ENDED)
    specs = frozen_specs(session, [run.id for run in (*running.items, *ended)])
    targets = {run_id: Target.of(spec) for run_id, spec in specs.items()}
    verdicts = read_verdicts(session, {run.verdict_id for run in ended if run.verdict_id is not None})
    return page(
        request,
        "queue.html",
        running=[Live.of(run, targets[run.id]) for run in running.items],
        more_running=running.next_cursor is not None,
        waiting=waiting.items,
        first_page=without_cursor(request) if cursor else None,
        next_page=further(request, waiting.next_cursor),
        ended=[Ended.of(run, targets[run.id], verdicts) for run in ended],
    )


@router.get("/reproductions/{reproduction_id}")
def get_run(request: Request, session: SessionDep, reproduction_id: UUID) -> Response:
    """One run: where it is, how far, and what it says so far."""
    run = read_reproduction(session, reproduction_id)
    live = Live.of(run, Target.of(frozen_specs(session, [run.id])[run.id]))
    verdict = read_verdict(session, run.verdict_id) if run.verdict_id else None
    claim, course = read_claim(session, run.claim_id), read_course(session, run.id)
    return page(
        request,
        "run.html",
        live=live,
        run=run,
        verdict=verdict,
        result=Result.of(verdict, claim, live) if verdict else None,
        claim=claim,
        points=_columns(course, live.target.notation.unit),
        has_course=not run.done or len(course.points) > 1,
    )


def _columns(course: CourseRead, unit: str) -> str:
    """The points as the chart takes them: examples, values, lower and upper limits, in the claim's unit."""
    scaled, digits = (100, 4) if unit == "percent" else (1, 6)
    columns: list[list[float]] = [[], [], [], []]
    for point in course.points:
        shares = (point.value, *point.interval_95)
        for column, value in zip(columns, (point.done, *(round(one * scaled, digits) for one in shares)), strict=True):
            column.append(value)
    return json.dumps(columns, separators=(",", ":"))


@router.get("/workers")
def get_workers(request: Request, session: SessionDep) -> Response:
    """Who works, by leases and heartbeats."""
    return page(request, "workers.html", crew=read_crew(session))
