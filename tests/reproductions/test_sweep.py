"""The sweep: lost messages, dead workers and passed moments cost time and nothing else."""

import time
from contextlib import ExitStack
from errno import ENOSPC
from uuid import UUID

import pytest
import structlog
from sqlalchemy import func, select, text, update

from app.core.db import Database
from app.core.queue import Doorbell, make_celery
from app.core.settings import QueueSettings
from app.models import Reproduction, ReproductionState, Ring
from app.reproductions import sweep as sweeping
from app.reproductions.cancel import cancel_reproduction
from app.reproductions.lease import Beat, hand_back, heartbeat
from app.reproductions.sweep import SweepResult, sweep
from app.reproductions.sweeper import Sweeper
from app.reproductions.swept import read_counts
from tests.factories.drivers import Subject, make_subject
from tests.factories.runs import QUEUE, Bell, ask, beat, let_pass, predictions, read_run, take, try_take

NOTHING = SweepResult()


@pytest.fixture
def subject(database: Database) -> Subject:
    return make_subject(database)


def _sweep(database: Database, bell: Bell | None = None, queue: QueueSettings = QUEUE) -> SweepResult | None:
    with database.unit_of_work() as session:
        return sweep(session, queue, bell or Bell())


def _cancel(database: Database, run_id: UUID) -> None:
    with database.unit_of_work() as session:
        cancel_reproduction(session, run_id)


def test_where_all_is_well_nothing_is_touched(database: Database, subject: Subject) -> None:
    ask(database, subject)
    take(database)
    ask(database, subject, force=True)
    bell = Bell()
    assert _sweep(database, bell) == NOTHING
    assert bell.rung == []


def test_a_lost_bell_is_rung_again_and_not_too_often(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject, Bell(broken=True))
    bell = Bell()
    assert _sweep(database, bell) == NOTHING
    let_pass(database, run_id, "rung_at")
    assert _sweep(database, bell) == SweepResult(rung=1)
    assert _sweep(database, bell) == NOTHING
    assert bell.rung == [str(run_id)]


def test_the_bell_rings_after_the_commit(database: Database, subject: Subject) -> None:
    let_pass(database, ask(database, subject), "rung_at")
    bell = Bell()
    with database.unit_of_work() as session:
        assert sweep(session, QUEUE, bell) == SweepResult(rung=1)
        assert bell.rung == []
        session.rollback()
    with database.unit_of_work() as session:
        assert sweep(session, QUEUE, bell) == SweepResult(rung=1)


def test_a_sweep_under_way_keeps_nobody_from_the_run_that_is_first(database: Database, subject: Subject) -> None:
    first, second = (ask(database, subject, force=True) for _ in range(2))
    let_pass(database, first, "rung_at")
    with database.unit_of_work() as session:
        assert sweep(session, QUEUE, Bell()) == SweepResult(rung=1)
        assert take(database).reproduction_id == first  # its place was lost to whoever came next before
    assert take(database).reproduction_id == second


def test_what_was_rung_for_and_lost_again_is_rung_for_at_once(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    let_pass(database, run_id, "rung_at")
    bell = Bell()
    assert _sweep(database, bell) == SweepResult(rung=1)
    take(database)
    let_pass(database, run_id, "lease_until")
    assert _sweep(database, bell) == SweepResult(requeued=1, rung=1)
    assert _sweep(database, bell) == NOTHING
    assert bell.rung == [str(run_id)] * 2


def test_the_bell_rings_for_the_most_urgent_and_only_so_often(
    database: Database, subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "_RINGS", 3)
    asked = [ask(database, subject, priority=priority, force=True) for priority in (9, 5, 0, 5, 9)]
    let_pass_all(database)
    bell = Bell()
    assert _sweep(database, bell) == SweepResult(rung=3)
    assert bell.rung == [str(asked[i]) for i in (2, 1, 3)]
    assert _sweep(database, bell) == SweepResult(rung=2)
    assert bell.rung[3:] == [str(asked[i]) for i in (0, 4)]


def let_pass_all(database: Database) -> None:
    with database.unit_of_work() as session:
        for table in (Reproduction, Ring):
            session.execute(update(table).values(rung_at=func.now() - text("interval '1 hour'")))


def test_a_broken_bell_is_tried_once_a_sweep(database: Database, subject: Subject) -> None:
    for _ in range(3):
        ask(database, subject, force=True)
    let_pass_all(database)
    bell = Bell(broken=True)
    assert _sweep(database, bell) == SweepResult(rung=3)
    assert len(bell.rung) == 1


def test_a_run_in_its_back_off_is_not_rung_for(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    let_pass(database, run_id, "rung_at")
    with database.unit_of_work() as session:
        session.execute(update(Reproduction).values(not_before=func.now() + text("interval '1 minute'")))
    assert _sweep(database) == NOTHING


def test_a_dead_workers_run_goes_back_to_the_queue_and_is_rung_for(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    take(database)
    let_pass(database, run_id, "lease_until")
    bell = Bell()
    assert _sweep(database, bell) == SweepResult(requeued=1, rung=1)
    run = read_run(database, run_id)
    assert (run.state, run.stage, run.lease_until, run.attempt, run.fence) == ("queued", None, None, 1, 1)
    assert bell.rung == [str(run_id)]
    assert take(database).fence == 2


def test_a_run_that_kills_its_workers_fails_after_its_last_attempt(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject, queue=QueueSettings(max_attempts=2))
    for result in (SweepResult(requeued=1, rung=1), SweepResult(failed=1)):
        take(database)
        let_pass(database, run_id, "lease_until")
        assert _sweep(database) == result
    run = read_run(database, run_id)
    assert (run.state, run.attempt, run.lease_until) == ("failed", 2, None)
    assert run.finished_at is not None
    assert run.error is not None
    assert (run.error["code"], run.error["type"]) == ("worker_lost", "urn:paper-verdicts:problem:worker_lost")
    assert _sweep(database) == NOTHING


def test_an_attempt_that_stored_something_new_does_not_count_when_its_worker_dies(
    database: Database, subject: Subject
) -> None:
    run_id = ask(database, subject, queue=QueueSettings(max_attempts=1))
    for done in range(1, 5):
        lease = take(database)
        assert (lease.attempt, lease.fence) == (1, done)
        beat(database, lease, predictions(range(done)))
        let_pass(database, run_id, "lease_until")
        assert _sweep(database) == SweepResult(requeued=1, rung=1)
        assert read_run(database, run_id).attempt == 0
    beat(database, take(database), predictions(range(4)))  # nothing new
    let_pass(database, run_id, "lease_until")
    assert _sweep(database) == SweepResult(failed=1)
    run = read_run(database, run_id)
    assert (run.state, run.attempt, run.fence) == ("failed", 1, 5)
    assert (run.error or {})["code"] == "worker_lost"


def test_a_lost_run_that_is_taken_at_once_counts_as_little(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    beat(database, take(database), predictions(range(2)))
    for attempt in (1, 2):  # the first one made headway
        let_pass(database, run_id, "lease_until")
        assert take(database).attempt == attempt


def test_a_cancelled_run_whose_worker_died_is_cancelled(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    take(database)
    _cancel(database, run_id)
    assert _sweep(database) == NOTHING  # its worker still has the lease
    let_pass(database, run_id, "lease_until")
    assert _sweep(database) == SweepResult(cancelled=1)
    assert read_run(database, run_id).state is ReproductionState.cancelled


def test_a_cancelled_run_that_was_handed_back_is_cancelled(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    lease = take(database)
    _cancel(database, run_id)
    with database.unit_of_work() as session:
        hand_back(session, lease)
    assert try_take(database) is None
    assert _sweep(database) == SweepResult(cancelled=1)
    assert read_run(database, run_id).state is ReproductionState.cancelled


def test_a_run_that_waited_past_its_deadline_expires(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    let_pass(database, run_id, "deadline_at", "rung_at")
    bell = Bell()
    assert _sweep(database, bell) == SweepResult(expired=1)
    run = read_run(database, run_id)
    assert (run.state, run.error, bell.rung) == ("expired", None, [])
    assert run.finished_at is not None


def test_a_run_that_started_in_time_may_end_after_its_deadline(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    take(database)
    let_pass(database, run_id, "deadline_at")
    assert _sweep(database) == NOTHING
    let_pass(database, run_id, "lease_until")  # but it does not start again
    assert _sweep(database) == SweepResult(requeued=1, expired=1)
    assert read_run(database, run_id).state is ReproductionState.expired


def test_one_process_sweeps_at_a_time(database: Database, subject: Subject) -> None:
    let_pass(database, ask(database, subject), "rung_at")
    bell = Bell()
    with database.unit_of_work() as first:
        assert sweep(first, QUEUE, bell) == SweepResult(rung=1)
        assert _sweep(database, bell) is None
    assert bell.rung != []
    assert _sweep(database) == NOTHING


def test_a_late_heartbeat_that_comes_first_keeps_its_run(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    lease = take(database)
    let_pass(database, run_id, "lease_until")
    with database.unit_of_work() as session:
        heartbeat(session, lease, Beat(stage="inference", done=0, total=12, correct=0), [], QUEUE)
        assert _sweep(database) == NOTHING
    assert _sweep(database) == NOTHING
    assert read_run(database, run_id).state is ReproductionState.running


def test_a_run_whose_row_somebody_holds_does_not_hold_up_the_others(database: Database, subject: Subject) -> None:
    held, free = ask(database, subject), ask(database, subject, force=True)
    take(database)
    take(database)
    for run_id in (held, free):
        let_pass(database, run_id, "lease_until")
    with database.unit_of_work() as holder:  # a worker that hangs between its verdict and its commit, say
        holder.execute(select(Reproduction).where(Reproduction.id == held).with_for_update())
        assert _sweep(database) == SweepResult(requeued=1, rung=1)
        assert read_run(database, free).state is ReproductionState.queued
    assert _sweep(database) == SweepResult(requeued=1, rung=1)


def test_bells_that_nobody_hears_do_not_pile_up(database: Database, subject: Subject, redis_url: str) -> None:
    """All workers are busy: whoever rang again and again for each waiting run would fill the broker's memory."""
    asked = [ask(database, subject, force=True) for _ in range(3)]
    doorbell = Doorbell(make_celery(redis_url))
    assert doorbell.ring(str(asked[0]))
    for _ in range(4):
        let_pass_all(database)
        with database.unit_of_work() as session:
            assert sweep(session, QUEUE, doorbell) == SweepResult(rung=3)
        assert doorbell.unheard() == 3
    doorbell.close()


# --- the thread that sweeps


FAST = QueueSettings(sweep_s=0.02)


def _wait_for(database: Database, run_id: UUID, state: str) -> None:
    until = time.monotonic() + 60
    while read_run(database, run_id).state.value != state:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_the_sweepers_of_several_processes_do_the_work_once(database: Database, subject: Subject) -> None:
    asked = [ask(database, subject, force=True) for _ in range(5)]
    let_pass_all(database)
    bell = Bell()
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(Sweeper(database, bell, FAST))
        let_pass(database, asked[0], "deadline_at")
        _wait_for(database, asked[0], "expired")
    with database.unit_of_work() as session:
        waiting = session.scalars(select(Reproduction.id).where(Reproduction.state == "queued")).all()
    rung = [one for one in bell.rung if one != str(asked[0])]
    assert sorted(rung) == sorted(map(str, waiting))
    with database.unit_of_work() as session:
        assert read_counts(session) == {"expired": 1, "rung": len(bell.rung)}  # whoever of them did it


def test_the_sweeper_lives_through_errors_of_the_database(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    with database.unit_of_work() as session:
        session.execute(text("ALTER TABLE reproductions RENAME COLUMN rung_at TO away"))
    with structlog.testing.capture_logs() as logs, Sweeper(database, Bell(), FAST):
        until = time.monotonic() + 60
        while not any(log["event"] == "sweep_failed" for log in logs):
            assert time.monotonic() < until
            time.sleep(0.01)
        with database.unit_of_work() as session:
            session.execute(text("ALTER TABLE reproductions RENAME COLUMN away TO rung_at"))
        let_pass(database, run_id, "deadline_at")
        _wait_for(database, run_id, "expired")
    assert {log["error"] for log in logs if log["event"] == "sweep_failed"} == {"ProgrammingError"}


def test_the_sweeper_lives_through_a_full_disk(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    let_pass(database, run_id, "deadline_at")
    ticks: list[int] = []

    def tick() -> None:
        ticks.append(len(ticks))
        if len(ticks) < 3:
            raise OSError(ENOSPC, "No space left on device")

    with Sweeper(database, Bell(), FAST, tick):
        _wait_for(database, run_id, "expired")
        until = time.monotonic() + 60
        while len(ticks) < 3:
            assert time.monotonic() < until
            time.sleep(0.01)


def test_a_sweep_is_made_also_where_no_sign_of_life_can_be_given(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    let_pass(database, run_id, "deadline_at")

    def tick() -> None:
        raise OSError(ENOSPC, "No space left on device")

    with Sweeper(database, Bell(), FAST, tick):
        _wait_for(database, run_id, "expired")


def test_the_sweeper_stops_at_once(database: Database) -> None:
    with Sweeper(database, Bell(), QueueSettings(sweep_s=3600)) as sweeper:
        assert sweeper._thread.is_alive()
    assert not sweeper._thread.is_alive()  # leaving it waits for some seconds at most, an hour is none of them
