"""How a run went: a bounded number of points, from its first examples to its last, whatever becomes of its attempts."""

from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from app.core.db import Database
from app.reproductions.course import MOST_POINTS, mark, read_course
from app.reproductions.errors import ReproductionNotFoundError
from app.reproductions.estimate import running_estimate
from app.reproductions.lease import hand_back
from app.reproductions.schemas import CourseRead
from app.statistics.binomial import binomial_interval
from tests.factories.drivers import make_subject
from tests.factories.runs import ask, beat, predictions, take

EARLY: dict[str, Any] = {
    "slice": {"kind": "simple", "size": 12, "seed": 1},
    "protocol": {"data": "probability_slice"},
    "decision": {"early_stopping": True},
}


def course_of(database: Database, run: UUID) -> CourseRead:
    with database.unit_of_work() as session:
        return read_course(session, run)


def test_a_long_run_leaves_a_bounded_number_of_evenly_spread_points(database: Database) -> None:
    run = ask(database, make_subject(database))
    total = 10_007
    with database.unit_of_work() as session:
        for done in [*range(7, total, 7), total]:
            mark(session, run, done=done, correct=done // 2, total=total)
            mark(session, run, done=done, correct=done // 2, total=total)  # a heartbeat may come twice
        points = read_course(session, run).points
    assert MOST_POINTS - 20 < len(points) <= MOST_POINTS
    assert (points[0].done, points[-1].done) == (7, total)
    gaps = {later.done - sooner.done for sooner, later in pairwise(points[:-1])}
    assert max(gaps) - min(gaps) < 7
    low, high = points[100].interval_95
    expected = binomial_interval(points[100].correct, points[100].done)
    assert (low, high) == (expected.low, expected.high)


@pytest.mark.parametrize("changes", [{}, EARLY], ids=["binomial", "anytime-valid"])
def test_heartbeats_leave_points_over_all_attempts(database: Database, changes: dict[str, Any]) -> None:
    run = ask(database, make_subject(database, **changes))
    assert course_of(database, run).points == []
    lease = take(database)
    for rows in (range(0), range(4), range(9)):
        beat(database, lease, predictions(rows, wrong=[2, 7]))
    with database.unit_of_work() as session:
        hand_back(session, lease)
    lease = take(database)
    beat(database, lease, predictions(range(12), wrong=[2, 7]))
    course = course_of(database, run)
    assert [(one.done, one.correct) for one in course.points] == [(4, 3), (9, 7), (12, 10)]
    assert course.total == 12
    for one in course.points:
        shown = running_estimate(one.correct, one.done, lease.spec.model_dump(mode="json"), None)
        assert shown is not None
        assert (one.value, one.interval_95) == (shown.value, shown.interval_95)


def test_what_nobody_knows_has_no_course(database: Database) -> None:
    with database.unit_of_work() as session, pytest.raises(ReproductionNotFoundError):
        read_course(session, make_subject(database).paper_id)
