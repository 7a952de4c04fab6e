"""How a run went: points of its progress, written with its heartbeats, and read with the interval of each."""

from collections.abc import Sequence
from math import ceil
from typing import Final
from uuid import UUID

import numpy as np
from sqlalchemy import Integer, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Session

from app.models import ProgressPoint, Reproduction
from app.reproductions.errors import ReproductionNotFoundError
from app.reproductions.schemas import CoursePoint, CourseRead, RunningEstimate
from app.statistics.binomial import Floats, binomial_limits
from app.statistics.hypergeometric import Counts
from app.statistics.metrics import MetricName
from app.statistics.sequential import SEQUENCE_ALPHA, sequence_limits

MOST_POINTS: Final = 240
"""Of a run, however long it is: a chart has not more pixels to show them on."""


def mark(
    session: Session,
    reproduction_id: UUID,
    *,
    done: int,
    correct: int,
    total: int,
    estimate: RunningEstimate | None = None,
) -> None:
    """Remember where the run is, unless that is just beside the point before; the end is always remembered.

    `estimate`: of a metric that the counts alone do not give.
    """
    step = ceil(total / (MOST_POINTS - 1))
    of_run = ProgressPoint.reproduction_id == reproduction_id
    near = select(literal(1)).where(of_run, ProgressPoint.done > done - step).exists()
    reported = literal(estimate.model_dump(mode="json") if estimate else None, JSONB(none_as_null=True))
    counts = literal(done, Integer), literal(correct, Integer)
    point = select(literal(reproduction_id), *counts, reported, func.now()).where(literal(done >= total) | ~near)
    columns = ["reproduction_id", "done", "correct", "estimate", "at"]
    session.execute(insert(ProgressPoint).from_select(columns, point).on_conflict_do_nothing())


def read_course(session: Session, reproduction_id: UUID) -> CourseRead:
    """The points of a run, in their order, each with the interval that a running estimate has there.

    Raises ReproductionNotFoundError.
    """
    run = session.get(Reproduction, reproduction_id)
    if run is None:
        raise ReproductionNotFoundError(reproduction_id)
    of_run = ProgressPoint.reproduction_id == reproduction_id
    rows = session.scalars(select(ProgressPoint).where(of_run).order_by(ProgressPoint.done)).all()
    metric = MetricName(run.spec.get("metric", MetricName.accuracy))
    points = (
        _by_counts(run, rows) if metric is MetricName.accuracy else [_as_reported(row) for row in rows if row.estimate]
    )
    return CourseRead(reproduction_id=reproduction_id, metric=metric, total=run.progress_total, points=points)


def _as_reported(row: ProgressPoint) -> CoursePoint:
    shown = RunningEstimate.model_validate(row.estimate)
    return CoursePoint(at=row.at, done=row.done, correct=row.correct, value=shown.value, interval_95=shown.interval_95)


def _by_counts(run: Reproduction, rows: Sequence[ProgressPoint]) -> list[CoursePoint]:
    done, correct = np.array([(row.done, row.correct) for row in rows], dtype=np.int64).reshape(-1, 2).T
    low, high = _limits(run, correct, done)
    return [
        CoursePoint(at=row.at, done=row.done, correct=row.correct, value=value, interval_95=limits)
        for row, value, *limits in zip(rows, (correct / done).tolist(), low.tolist(), high.tolist(), strict=True)
    ]


def _limits(run: Reproduction, correct: Counts, done: Counts) -> tuple[Floats, Floats]:
    """As `running_estimate` makes them, for all points at once."""
    if not len(done) or not run.spec["decision"].get("early_stopping"):
        return binomial_limits(correct, done, 0.95)
    size = run.spec["data"]["size"]
    lowest, highest = sequence_limits(correct, done, size, SEQUENCE_ALPHA)
    value = correct / done
    return np.minimum(lowest / size, value), np.maximum(highest / size, value)
