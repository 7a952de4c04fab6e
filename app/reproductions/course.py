"""How a run went: points of its progress, written with its heartbeats, and read with the interval of each."""

from math import ceil
from typing import Final
from uuid import UUID

import numpy as np
from sqlalchemy import Integer, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.models import ProgressPoint, Reproduction
from app.reproductions.errors import ReproductionNotFoundError
from app.reproductions.schemas import CoursePoint, CourseRead
from app.statistics.binomial import Floats, binomial_limits
from app.statistics.hypergeometric import Counts
from app.statistics.sequential import SEQUENCE_ALPHA, sequence_limits

MOST_POINTS: Final = 240
"""Of a run, however long it is: a chart has not more pixels to show them on."""


def mark(session: Session, reproduction_id: UUID, *, done: int, correct: int, total: int) -> None:
    """Remember where the run is, unless that is just beside the point before; the end is always remembered."""
    step = ceil(total / (MOST_POINTS - 1))
    of_run = ProgressPoint.reproduction_id == reproduction_id
    near = select(literal(1)).where(of_run, ProgressPoint.done > done - step).exists()
    point = select(literal(reproduction_id), literal(done, Integer), literal(correct, Integer), func.now()).where(
        literal(done >= total) | ~near
    )
    columns = ["reproduction_id", "done", "correct", "at"]
    session.execute(insert(ProgressPoint).from_select(columns, point).on_conflict_do_nothing())


def read_course(session: Session, reproduction_id: UUID) -> CourseRead:
    """The points of a run, in their order, each with the interval that a running estimate has there.

    Raises ReproductionNotFoundError.
    """
    run = session.get(Reproduction, reproduction_id)
    if run is None:
        raise ReproductionNotFoundError(reproduction_id)
    of_run = ProgressPoint.reproduction_id == reproduction_id
    rows = session.execute(
        select(ProgressPoint.done, ProgressPoint.correct, ProgressPoint.at).where(of_run).order_by(ProgressPoint.done)
    ).all()
    done, correct = (np.array([row[i] for row in rows], dtype=np.int64) for i in (0, 1))
    low, high = _limits(run, correct, done)
    points = [
        CoursePoint(at=row.at, done=row.done, correct=row.correct, value=value, interval_95=limits)
        for row, value, *limits in zip(rows, (correct / done).tolist(), low.tolist(), high.tolist(), strict=True)
    ]
    return CourseRead(reproduction_id=reproduction_id, total=run.progress_total, points=points)


def _limits(run: Reproduction, correct: Counts, done: Counts) -> tuple[Floats, Floats]:
    """As `running_estimate` makes them, for all points at once."""
    if not len(done) or not run.spec["decision"].get("early_stopping"):
        return binomial_limits(correct, done, 0.95)
    size = run.spec["data"]["size"]
    lowest, highest = sequence_limits(correct, done, size, SEQUENCE_ALPHA)
    value = correct / done
    return np.minimum(lowest / size, value), np.maximum(highest / size, value)
