"""Cancelling: at once while a run waits, at the worker's next heartbeat while it runs, never after its end."""

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from app.core.db import Database
from app.models import ReproductionState, Verdict
from app.protocol.errors import DriverError
from app.reproductions.cancel import cancel_reproduction
from app.reproductions.errors import CancelRequestedError, ReproductionDoneError, ReproductionNotFoundError
from app.reproductions.lease import Lease, confirm_cancel, give_up
from app.reproductions.sweep import sweep
from app.verdicts.conclude import conclude_run
from tests.factories.drivers import Subject, make_subject
from tests.factories.runs import QUEUE, Bell, ask, beat, facts, let_pass, predictions, read_run, take, try_take
from tests.factories.threads import together
from tests.factories.verdicts import conclude_without_rule


@pytest.fixture
def subject(database: Database) -> Subject:
    return make_subject(database)


def _cancel(database: Database, run_id: UUID) -> None:
    with database.unit_of_work() as session:
        cancel_reproduction(session, run_id)


def test_a_waiting_run_is_cancelled_at_once(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    _cancel(database, run_id)
    run = read_run(database, run_id)
    assert (run.state, run.attempt) == ("cancelled", 0)
    assert run.finished_at is not None
    assert run.finished_at == run.cancel_requested_at
    assert try_take(database) is None


def test_a_running_run_is_cancelled_by_its_workers_next_heartbeat(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    lease = take(database)
    assert beat(database, lease, predictions(range(3))) is False
    _cancel(database, run_id)
    assert read_run(database, run_id).state is ReproductionState.running
    assert beat(database, lease, predictions(range(3, 6))) is True


def test_cancelling_twice_is_fine_in_every_state_on_the_way(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    lease = take(database)
    _cancel(database, run_id)
    asked_at = read_run(database, run_id).cancel_requested_at
    _cancel(database, run_id)
    assert read_run(database, run_id).cancel_requested_at == asked_at
    with database.unit_of_work() as session:
        confirm_cancel(session, lease)
    ended = read_run(database, run_id).finished_at
    _cancel(database, run_id)
    run = read_run(database, run_id)
    assert (run.state, run.finished_at) == ("cancelled", ended)


def _succeed(database: Database, subject: Subject, _: UUID) -> None:
    with database.unit_of_work() as session:
        conclude_without_rule(session, subject, take(database))


def _fail(database: Database, _: Subject, __: UUID) -> None:
    with database.unit_of_work() as session:
        give_up(session, take(database), DriverError("checkpoint_missing", "No checkpoint."), QUEUE)


def _expire(database: Database, _: Subject, run_id: UUID) -> None:
    let_pass(database, run_id, "deadline_at")
    with database.unit_of_work() as session:
        sweep(session, QUEUE, Bell())


@pytest.mark.parametrize(("end", "state"), [(_succeed, "succeeded"), (_fail, "failed"), (_expire, "expired")])
def test_a_run_that_has_ended_otherwise_is_not_cancelled(
    end: Callable[[Database, Subject, UUID], None], state: str, database: Database, subject: Subject
) -> None:
    run_id = ask(database, subject)
    end(database, subject, run_id)
    with pytest.raises(ReproductionDoneError) as refusal:
        _cancel(database, run_id)
    assert (refusal.value.code, refusal.value.status) == ("reproduction_done", 409)
    assert state in refusal.value.detail
    run = read_run(database, run_id)
    assert (run.state, run.cancel_requested_at) == (state, None)


def test_a_run_that_is_not_there_is_not_cancelled(database: Database) -> None:
    with pytest.raises(ReproductionNotFoundError) as refusal:
        _cancel(database, uuid4())
    assert (refusal.value.code, refusal.value.status) == ("reproduction_not_found", 404)


def test_asking_again_after_a_cancellation_gives_a_new_run(database: Database, subject: Subject) -> None:
    waiting = ask(database, subject)
    _cancel(database, waiting)
    running = ask(database, subject)
    assert running != waiting
    take(database)
    _cancel(database, running)  # it still runs, but nobody who asks now wants that one
    third = ask(database, subject)
    assert third not in {waiting, running}
    assert ask(database, subject) == third


def test_taking_and_cancelling_at_once_leaves_no_run_in_the_air(database: Database, subject: Subject) -> None:
    runs = [ask(database, subject, force=True) for _ in range(12)]

    def work(number: int) -> list[Lease]:
        if number % 2:
            return [lease for _ in runs if (lease := try_take(database)) is not None]
        for run_id in runs:
            _cancel(database, run_id)
        return []

    leases = {lease.reproduction_id: lease for taken in together(8, work) for lease in taken}
    for run_id in runs:
        run = read_run(database, run_id)
        assert run.cancel_requested_at is not None
        if run_id in leases:  # taken first: its worker hears of it
            assert run.state is ReproductionState.running
            assert beat(database, leases[run_id]) is True
        else:
            assert (run.state, run.attempt) == ("cancelled", 0)


def test_a_cancellation_that_was_acknowledged_leaves_no_room_for_a_verdict(
    database: Database, subject: Subject
) -> None:
    run_id = ask(database, subject)
    lease = take(database)
    beat(database, lease, predictions())
    _cancel(database, run_id)  # after the worker's last heartbeat, which has heard nothing of it
    with pytest.raises(CancelRequestedError), database.unit_of_work() as session:
        conclude_run(session, lease, facts())
    assert read_run(database, run_id).state is ReproductionState.running
    with database.unit_of_work() as session:
        confirm_cancel(session, lease)
    assert (read_run(database, run_id).state, _verdicts(database)) == ("cancelled", 0)


def test_concluding_and_cancelling_at_once_gives_a_verdict_or_a_cancelled_run(
    database: Database, subject: Subject
) -> None:
    runs = [ask(database, subject, force=True) for _ in range(10)]
    leases = [take(database) for _ in runs]
    for lease in leases:
        beat(database, lease, predictions())

    def work(number: int) -> str:
        try:
            if number % 2:
                _cancel(database, leases[number // 2].reproduction_id)
                return "cancelling"
            with database.unit_of_work() as session:
                conclude_run(session, leases[number // 2], facts())
        except (CancelRequestedError, ReproductionDoneError) as error:
            return type(error).__name__
        return "concluded"

    outcomes = together(2 * len(runs), work)
    pairs = [tuple(outcomes[i : i + 2]) for i in range(0, len(outcomes), 2)]
    assert set(pairs) <= {("concluded", "ReproductionDoneError"), ("CancelRequestedError", "cancelling")}
    assert _verdicts(database) == sum(first == "concluded" for first, _ in pairs)


def _verdicts(database: Database) -> int:
    with database.unit_of_work() as session:
        return session.scalar(select(func.count()).select_from(Verdict)) or 0
