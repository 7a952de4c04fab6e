"""The worker's side of the queue: who gets which run, who may write, and what becomes of failures."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app.core.db import Database
from app.core.settings import QueueSettings
from app.models import Prediction, Reproduction, ReproductionState
from app.protocol.errors import DriverError
from app.reproductions.cancel import cancel_reproduction
from app.reproductions.errors import LeaseLostError
from app.reproductions.lease import Lease, confirm_cancel, give_up, hand_back, read_stored, succeed, take_run
from app.reproductions.sweep import sweep
from tests.factories.drivers import Subject, make_subject
from tests.factories.runs import QUEUE, Bell, ask, beat, let_pass, predictions, read_run, take, try_take
from tests.factories.threads import together
from tests.factories.verdicts import conclude_without_rule

BROKEN = DriverError("checkpoint_missing", "There is no checkpoint.")
FLAKY = DriverError("hub_unreachable", "The hub does not answer.", retryable=True)


@pytest.fixture
def subject(database: Database) -> Subject:
    return make_subject(database)


def _stored(database: Database) -> int:
    with database.unit_of_work() as session:
        return session.scalar(select(func.count()).select_from(Prediction)) or 0


def _now(database: Database) -> Any:  # noqa: ANN401  # a datetime, as the driver gives it
    with database.unit_of_work() as session:
        return session.scalar(select(func.now()))


# --- taking


def test_the_most_urgent_run_is_taken_first_and_the_oldest_among_equals(database: Database, subject: Subject) -> None:
    asked = [ask(database, subject, priority=priority, force=True) for priority in (5, 0, 9, 5, 0)]
    taken = [take(database).reproduction_id for _ in asked]
    assert taken == [asked[i] for i in (1, 4, 0, 3, 2)]
    assert try_take(database) is None


def test_a_lease_says_what_to_run(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject, slice_size=6)
    lease = take(database, "host:1:cpu")
    run = read_run(database, run_id)
    assert (lease.reproduction_id, lease.evidence_id) == (run_id, run.evidence_id)
    assert (lease.fence, lease.attempt) == (1, 1)
    assert lease.spec.model_dump(mode="json") == run.spec
    assert lease.spec.slice.size == 6
    assert (run.state, run.stage, run.worker, run.fence, run.attempt) == ("running", "starting", "host:1:cpu", 1, 1)
    assert run.started_at is not None
    assert run.started_at == run.heartbeat_at
    assert run.lease_until == run.started_at + timedelta(seconds=QUEUE.lease_s)


def test_two_takers_at_the_same_moment_get_two_runs_and_a_third_does_not_wait(
    database: Database, subject: Subject
) -> None:
    older, younger = ask(database, subject), ask(database, subject, force=True)
    # Neither has committed while the next one takes: its row is locked, and skipped.
    with database.unit_of_work() as one, database.unit_of_work() as other, database.unit_of_work() as third:
        third.execute(text("SET LOCAL lock_timeout = '1s'"))
        leases = [take_run(session, "w", QUEUE) for session in (one, other, third)]
    assert [lease.reproduction_id if lease else None for lease in leases] == [older, younger, None]


def test_many_workers_share_the_queue_without_taking_a_run_twice(database: Database, subject: Subject) -> None:
    asked = {ask(database, subject, force=True) for _ in range(40)}

    def work(number: int) -> list[tuple[UUID, int]]:
        mine = []
        while (lease := try_take(database, f"worker-{number}")) is not None:
            mine.append((lease.reproduction_id, lease.fence))
        return mine

    taken = [one for mine in together(16, work) for one in mine]
    assert len(taken) == 40
    assert {run_id for run_id, _ in taken} == asked
    assert {fence for _, fence in taken} == {1}


def test_a_taker_that_rolls_back_leaves_the_run_as_it_was(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    with database.unit_of_work() as session:
        assert take_run(session, "w", QUEUE)
        session.rollback()
    run = read_run(database, run_id)
    assert (run.state, run.fence, run.attempt) == ("queued", 0, 0)
    assert take(database).fence == 1


@pytest.mark.parametrize(
    "change",
    [
        "not_before = now() + interval '1 minute'",
        "deadline_at = now() - interval '1 second'",
        "attempt = 3, fence = 3",
        "cancel_requested_at = now()",
    ],
)
def test_a_run_that_may_not_start_is_not_taken(change: str, database: Database, subject: Subject) -> None:
    ask(database, subject)
    with database.unit_of_work() as session:
        session.execute(text(f"UPDATE reproductions SET {change}"))  # noqa: S608  # of the parameters above
    assert try_take(database) is None


@pytest.mark.parametrize(
    "change",
    ["deadline_at = now() - interval '1 second'", "attempt = 3, fence = 3", "cancel_requested_at = now()"],
)
def test_a_lost_run_that_may_not_start_again_is_not_taken(change: str, database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    take(database)
    let_pass(database, run_id, "lease_until")
    with database.unit_of_work() as session:
        session.execute(text(f"UPDATE reproductions SET {change}"))  # noqa: S608  # of the parameters above
    assert try_take(database) is None


def test_a_run_whose_specification_is_not_understood_fails_and_the_next_is_served(
    database: Database, subject: Subject
) -> None:
    foreign, fine = ask(database, subject), ask(database, subject, force=True)
    with database.unit_of_work() as session:  # as an older or newer version of the service may have written it
        session.execute(text("ALTER TABLE reproductions DISABLE TRIGGER USER"))
        changed = text("UPDATE reproductions SET spec = spec || '{\"unheard_of\": 1}' WHERE id = :id")
        session.execute(changed, {"id": foreign})
        session.execute(text("ALTER TABLE reproductions ENABLE TRIGGER USER"))
    assert take(database).reproduction_id == fine
    run = read_run(database, foreign)
    assert run.state is ReproductionState.failed
    assert run.error is not None
    assert (run.error["code"], run.error["retryable"]) == ("spec_unreadable", False)
    assert try_take(database) is None


# --- the lease


def test_a_run_with_a_live_lease_is_nobody_elses(database: Database, subject: Subject) -> None:
    ask(database, subject)
    take(database)
    assert try_take(database) is None


def test_an_expired_lease_is_taken_by_another_under_a_higher_fence(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    first = take(database, "first")
    started = read_run(database, run_id).started_at
    let_pass(database, run_id, "lease_until")
    second = take(database, "second")
    assert (second.reproduction_id, second.evidence_id) == (run_id, first.evidence_id)
    assert (second.fence, second.attempt) == (2, 2)
    run = read_run(database, run_id)
    assert (run.worker, run.started_at) == ("second", started)


def test_a_heartbeat_renews_the_lease_and_stores_progress_and_predictions(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    lease = take(database)
    let_pass(database, run_id, "lease_until", "heartbeat_at")  # late, but nobody took the run meanwhile
    assert beat(database, lease, predictions(range(7), wrong=[3])) is False
    run = read_run(database, run_id)
    assert (run.stage, run.progress_done, run.progress_total, run.progress_correct) == ("inference", 7, 12, 6)
    assert run.heartbeat_at is not None
    assert run.lease_until == run.heartbeat_at + timedelta(seconds=QUEUE.lease_s)
    assert run.lease_until > _now(database)
    with database.unit_of_work() as session:
        stored = read_stored(session, lease)
    assert (stored.rows, stored.right) == (frozenset(range(7)), frozenset(range(7)) - {3})
    assert stored.pairs == {(0, 0): 2, (0, 1): 1, (1, 1): 2, (2, 2): 2}


def test_a_heartbeat_may_be_repeated(database: Database, subject: Subject) -> None:
    # Its commit may have arrived although the answer to it got lost.
    ask(database, subject)
    lease = take(database)
    batch = predictions(range(5), wrong=[0])
    for _ in range(2):
        beat(database, lease, batch)
    with database.unit_of_work() as session:
        stored = read_stored(session, lease)
    assert (stored.rows, stored.right) == (frozenset(range(5)), frozenset(range(1, 5)))


def test_another_attempt_goes_on_from_what_is_stored(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    beat(database, take(database), predictions(range(5), wrong=[0]))
    let_pass(database, run_id, "lease_until")
    second = take(database)
    with database.unit_of_work() as session:
        stored = read_stored(session, second)
    assert (stored.rows, stored.right) == (frozenset(range(5)), frozenset(range(1, 5)))


def _write_heartbeat(database: Database, _: Subject, lease: Lease) -> None:
    beat(database, lease, predictions())


def _write(call: Callable[[Session, Lease], object]) -> Callable[[Database, Subject, Lease], None]:
    def write(database: Database, _: Subject, lease: Lease) -> None:
        with database.unit_of_work() as session:
            call(session, lease)

    return write


def _write_verdict(database: Database, subject: Subject, lease: Lease) -> None:
    with database.unit_of_work() as session:
        conclude_without_rule(session, subject, lease)


WRITES: dict[str, Callable[[Database, Subject, Lease], None]] = {
    "heartbeat": _write_heartbeat,
    "verdict": _write_verdict,
    "success": _write(succeed),
    "failure": _write(lambda session, lease: give_up(session, lease, BROKEN, QUEUE)),
    "retry": _write(lambda session, lease: give_up(session, lease, FLAKY, QUEUE)),
    "cancellation": _write(confirm_cancel),
    "return": _write(hand_back),
}


def _row(database: Database, run_id: UUID) -> dict[str, Any]:
    run = read_run(database, run_id)
    return {column.name: getattr(run, column.name) for column in Reproduction.__table__.columns}


def _lost_to_another(database: Database, run_id: UUID) -> None:
    let_pass(database, run_id, "lease_until")
    take(database, "another")


def _lost_to_the_queue(database: Database, run_id: UUID) -> None:
    let_pass(database, run_id, "lease_until")
    with database.unit_of_work() as session:
        sweep(session, QUEUE, Bell())


def _lost_for_good(database: Database, run_id: UUID) -> None:
    with database.unit_of_work() as session:
        session.execute(text("UPDATE reproductions SET attempt = max_attempts, fence = fence + max_attempts"))
    _lost_to_the_queue(database, run_id)


def _cancelled(database: Database, run_id: UUID) -> None:
    with database.unit_of_work() as session:
        cancel_reproduction(session, run_id)
    _lost_to_the_queue(database, run_id)


LOSSES = [_lost_to_another, _lost_to_the_queue, _lost_for_good, _cancelled]


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("lose", LOSSES)
def test_a_worker_that_lost_its_run_changes_nothing(
    lose: Callable[[Database, UUID], None], write: str, database: Database, subject: Subject
) -> None:
    run_id = ask(database, subject)
    lease = take(database, "paused")
    lose(database, run_id)
    before = _row(database, run_id)
    with pytest.raises(LeaseLostError):
        WRITES[write](database, subject, lease)
    assert _row(database, run_id) == before
    assert _stored(database) == 0


def test_a_verdict_is_given_once(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    lease = take(database)
    _write_verdict(database, subject, lease)
    assert read_run(database, run_id).state is ReproductionState.succeeded
    for write in WRITES.values():
        with pytest.raises(LeaseLostError):
            write(database, subject, lease)
    assert _stored(database) == 0


# --- failing, giving back


def test_a_permanent_error_ends_the_run_at_once(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    with database.unit_of_work() as session:
        lease = take_run(session, "w", QUEUE)
        assert lease
        assert give_up(session, lease, BROKEN, QUEUE) is ReproductionState.failed
    run = read_run(database, run_id)
    assert (run.state, run.stage, run.lease_until, run.attempt) == ("failed", None, None, 1)
    assert run.finished_at is not None
    assert run.error == {
        "type": "urn:paper-verdicts:problem:checkpoint_missing",
        "title": "The run could not measure the claim",
        "detail": "There is no checkpoint.",
        "code": "checkpoint_missing",
        "retryable": False,
    }
    assert try_take(database) is None


def test_a_retry_waits_twice_as_long_each_time_and_the_last_attempt_says_why(
    database: Database, subject: Subject
) -> None:
    queue = QueueSettings(backoff_s=7, backoff_most_s=20, max_attempts=4)
    run_id = ask(database, subject, queue=queue)
    for attempt, wait in ((1, 7), (2, 14), (3, 20)):
        lease = take(database)
        assert lease.attempt == attempt
        with database.unit_of_work() as session:
            moment = session.scalar(select(func.now()))
            assert moment is not None
            assert give_up(session, lease, FLAKY, queue) is ReproductionState.queued
        run = read_run(database, run_id)
        assert (run.state, run.stage, run.lease_until, run.finished_at) == ("queued", None, None, None)
        assert run.not_before == moment + timedelta(seconds=wait)
        assert run.error is not None
        assert (run.error["code"], run.error["retryable"]) == ("hub_unreachable", True)
        assert try_take(database) is None
        let_pass(database, run_id, "not_before")
    with database.unit_of_work() as session:
        last = take_run(session, "w", queue)
        assert last
        assert give_up(session, last, FLAKY, queue) is ReproductionState.failed
    run = read_run(database, run_id)
    assert (run.state, run.attempt, run.fence) == ("failed", 4, 4)
    assert run.error is not None
    assert run.error["code"] == "hub_unreachable"


def test_a_run_that_succeeds_in_the_end_says_nothing_of_earlier_failures(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    lease = take(database)
    with database.unit_of_work() as session:
        give_up(session, lease, FLAKY, QUEUE)
    let_pass(database, run_id, "not_before")
    _write_verdict(database, subject, take(database))
    run = read_run(database, run_id)
    assert (run.state, run.error) == ("succeeded", None)


def test_after_the_back_off_the_next_sweep_rings(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    with database.unit_of_work() as session:
        lease = take_run(session, "w", QUEUE)
        assert lease
        give_up(session, lease, FLAKY, QUEUE)
    bell = Bell()
    for _ in range(2):
        with database.unit_of_work() as session:
            sweep(session, QUEUE, bell)
        let_pass(database, run_id, "not_before")
    assert bell.rung == [str(run_id)]  # not while it has to wait, at once after


def test_a_run_that_is_handed_back_loses_no_attempt_but_its_fence_grows(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    for turn in range(1, 6):  # more often than there are attempts
        lease = take(database)
        assert (lease.attempt, lease.fence) == (1, turn)
        with database.unit_of_work() as session:
            hand_back(session, lease)
        run = read_run(database, run_id)
        assert (run.state, run.attempt, run.fence, run.lease_until) == ("queued", 0, turn, None)
    bell = Bell()
    with database.unit_of_work() as session:
        sweep(session, QUEUE, bell)
    assert bell.rung == [str(run_id)]


def test_a_worker_that_stopped_confirms_the_cancellation(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    lease = take(database)
    with database.unit_of_work() as session:
        cancel_reproduction(session, run_id)
    assert beat(database, lease, predictions(range(2))) is True
    with database.unit_of_work() as session:
        confirm_cancel(session, lease)
    run = read_run(database, run_id)
    assert (run.state, run.stage, run.lease_until, run.error) == ("cancelled", None, None, None)
    assert run.finished_at is not None
    with pytest.raises(LeaseLostError):
        beat(database, lease, predictions())
    assert _stored(database) == 2
