"""The log: what it tells, in which order, and that nobody who goes on from a position misses anything."""

import threading
from datetime import timedelta
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from sqlalchemy import text, update
from sqlalchemy.event import listens_for

from app.core.db import Database
from app.core.queue import Doorbell
from app.core.settings import QueueSettings
from app.events.prune import prune_events
from app.events.queries import first_position, last_position, read_events
from app.events.told import EventType, Told, Wanted
from app.models import Reproduction
from app.protocol.errors import DriverError
from app.reproductions.cancel import cancel_reproduction
from app.reproductions.lease import confirm_cancel, give_up, hand_back
from app.reproductions.queries import read_reproduction
from app.reproductions.sweep import sweep
from app.reproductions.sweeper import Sweeper
from app.reproductions.swept import read_counts
from app.verdicts.queries import read_verdict
from tests.events.running import data_of, in_background, wait_until
from tests.factories.drivers import Subject, make_subject
from tests.factories.runs import Bell, ask, beat, let_pass, predictions, take
from tests.factories.verdicts import conclude_without_rule, issue_verdict

QUEUED, RUNNING, FINISHED = EventType.queued, EventType.running, EventType.finished
ISSUED, SUPERSEDED = EventType.issued, EventType.superseded


def log(database: Database, after: int = 0, **wanted: Any) -> list[Told]:  # noqa: ANN401  # fields of Wanted
    with database.unit_of_work() as session:
        return read_events(session, Wanted(**wanted), after=after, upto=last_position(session), limit=10_000)


def types(database: Database, **wanted: Any) -> list[EventType]:  # noqa: ANN401  # as above
    return [told.type for told in log(database, **wanted)]


def data(told: Told) -> Any:  # noqa: ANN401  # any JSON
    return data_of(told)  # type: ignore[arg-type]  # it has data, too


def test_a_run_and_its_verdict_are_told_as_they_were_at_each_step(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    with database.unit_of_work() as session:
        asked = read_reproduction(session, run_id)
    lease = take(database)
    with database.unit_of_work() as session:
        taken = read_reproduction(session, run_id)
    beat(database, lease, predictions())
    with database.unit_of_work() as session:
        verdict_id = conclude_without_rule(session, subject, lease).id
    with database.unit_of_work() as session:
        ended = read_reproduction(session, run_id)
        issued = read_verdict(session, verdict_id)
    second_id = issue_verdict(database, subject)
    with database.unit_of_work() as session:
        superseded, second = read_verdict(session, verdict_id), read_verdict(session, second_id)

    told = log(database)
    assert [one.type for one in told] == [QUEUED, RUNNING, FINISHED, ISSUED, SUPERSEDED, ISSUED]
    # The place in the queue is the present one: it is nobody's any more.
    assert data(told[0]) == {**asked.model_dump(mode="json"), "queue_position": None}
    assert [one.data for one in told[1:3]] == [taken.model_dump_json(), ended.model_dump_json()]
    verdicts = [issued, superseded, second]
    assert [data(one) for one in told[3:]] == [
        {"paper": "2101.00001", "verdict": one.model_dump(mode="json")} for one in verdicts
    ]
    assert (asked.queue_position, taken.stage, ended.verdict_id) == (1, "starting", verdict_id)
    assert [one.verdict_status for one in (asked, taken, ended)] == [None, None, issued.status]
    assert (issued.is_current, superseded.superseded_by) == (True, second_id)


def test_a_run_that_waits_is_told_with_its_place(database: Database, subject: Subject) -> None:
    for _ in range(3):
        ask(database, subject, force=True)
    assert [data(told)["queue_position"] for told in log(database)] == [1, 2, 3]


@pytest.mark.parametrize("how", ["retried", "handed back", "lost", "taken over"])
def test_a_run_that_starts_again_is_told_again(database: Database, subject: Subject, how: str) -> None:
    run_id, lease = ask(database, subject), take(database)
    if how == "retried":
        with database.unit_of_work() as session:
            give_up(session, lease, DriverError("nothing_to_see", "Once more.", retryable=True), QueueSettings())
        let_pass(database, run_id, "not_before")
    elif how == "handed back":
        with database.unit_of_work() as session:
            hand_back(session, lease)
    else:
        let_pass(database, run_id, "lease_until")
        if how == "lost":
            with database.unit_of_work() as session:
                sweep(session, QueueSettings(), Bell())
    take(database, "worker-2")
    between = [] if how == "taken over" else [QUEUED]
    assert types(database) == [QUEUED, RUNNING, *between, RUNNING]
    assert data(log(database)[-1])["worker"] == "worker-2"


@pytest.mark.parametrize("how", ["waiting", "running", "failed", "expired"])
def test_every_end_is_told(database: Database, subject: Subject, how: str) -> None:
    run_id = ask(database, subject)
    lease = take(database) if how in {"running", "failed"} else None
    with database.unit_of_work() as session:
        if how == "failed" and lease:
            give_up(session, lease, DriverError("not_today", "It cannot."), QueueSettings())
        elif how == "expired":
            session.execute(update(Reproduction).values(deadline_at=text("now() - interval '1 s'")))
        else:
            cancel_reproduction(session, run_id)
    with database.unit_of_work() as session:
        sweep(session, QueueSettings(), Bell())
        if how == "running" and lease:
            confirm_cancel(session, lease)
    last = log(database)[-1]
    assert last.type is FINISHED
    assert data(last)["state"] == {"failed": "failed", "expired": "expired"}.get(how, "cancelled")
    assert types(database).count(FINISHED) == 1


def test_heartbeats_and_what_was_taken_back_are_not_in_the_log(database: Database, subject: Subject) -> None:
    ask(database, subject)
    lease = take(database)
    beat(database, lease, predictions(range(3)))

    class RegretError(Exception):
        pass

    with pytest.raises(RegretError), database.unit_of_work() as session:  # noqa: PT012  # the block is what is taken back
        confirm_cancel(session, lease)
        session.flush()
        raise RegretError
    assert types(database) == [QUEUED, RUNNING]


def test_it_can_be_narrowed(database: Database, subject: Subject) -> None:
    other = make_subject(database, "other", "2101.00002")
    pre = ask(database, subject, kind="PRE")
    ask(database, other)
    issue_verdict(database, other)
    assert types(database, paper_id=subject.paper_id) == [QUEUED]
    assert [told.kind.value for told in log(database, kind="PRE")] == ["PRE"]
    assert types(database, run_id=pre) == [QUEUED]
    assert types(database, types=frozenset({ISSUED})) == [ISSUED]
    assert types(database, types=frozenset({ISSUED, QUEUED}), paper_id=other.paper_id) == [QUEUED, ISSUED]
    assert len(log(database, after=2)) == 1


def test_an_event_is_never_changed(database: Database, subject: Subject) -> None:
    ask(database, subject)
    with pytest.raises(Exception, match="never changed"), database.unit_of_work() as session:
        session.execute(text("UPDATE events SET at = now()"))


# --- the order of commits


CANCEL = "UPDATE reproductions SET state = 'cancelled', finished_at = now() WHERE id = %s"


def test_who_draws_a_position_first_commits_first(database: Database, subject: Subject, dsn: str) -> None:
    first, second = (ask(database, subject, force=True) for _ in range(2))
    start = len(log(database))
    with psycopg.connect(dsn) as early, psycopg.connect(dsn) as late, psycopg.connect(dsn, autocommit=True) as watch:
        early.execute(CANCEL, [first])
        early.execute("SET CONSTRAINTS ALL IMMEDIATE")  # as a commit does first of all; here it stops half-way
        late.execute(CANCEL, [second])
        with in_background(late.commit):
            waits = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND wait_event = 'advisory'"
            wait_until(lambda: watch.execute(waits, [late.info.backend_pid]).fetchone() == (1,))
            assert len(log(database)) == start  # neither is to be seen: a reader that went on could miss the other
            early.commit()
    ended = log(database, after=start)
    assert [told.run_id for told in ended] == [first, second]


def test_a_reader_that_goes_on_from_what_it_saw_misses_nothing(database: Database, dsn: str) -> None:
    papers = [make_subject(database, f"tiny-{number}", f"2101.0000{number}") for number in range(4)]
    done = threading.Event()
    seen: list[Told] = []

    def write(subject: Subject) -> None:
        for number in range(15):
            # Transactions of all lengths, in each of which something else happens before the commit.
            run_id = ask(database, subject, force=True)
            with psycopg.connect(dsn) as connection:
                connection.execute(CANCEL, [run_id])
                connection.execute("SELECT pg_sleep(%s)", [number % 5 * 0.002])
            issue_verdict(database, subject)

    def read() -> None:
        while True:
            last_look = done.is_set()
            seen.extend(log(database, after=(seen[-1].position or 0) if seen else 0))
            if last_look:
                return

    with in_background(read):
        with in_background(*(lambda subject=subject: write(subject) for subject in papers)):
            pass
        done.set()
    assert [told.position for told in seen] == [told.position for told in log(database)]
    assert len(seen) == 4 * (15 * 4 - 1)
    assert all((one.position or 0) < (more.position or 0) for one, more in pairwise(seen))


# --- forgetting


def age(database: Database, position: int, days: float) -> None:
    with database.unit_of_work() as session:
        session.execute(text("ALTER TABLE events DISABLE TRIGGER USER"))  # an event never changes
        moment = {"age": timedelta(days=days), "position": position}
        session.execute(text("UPDATE events SET at = now() - :age WHERE position <= :position"), moment)
        session.execute(text("ALTER TABLE events ENABLE TRIGGER USER"))


def test_old_events_are_forgotten_but_for_the_newest_of_them(database: Database, subject: Subject) -> None:
    for _ in range(5):
        ask(database, subject, force=True)
    age(database, 3, 31)
    with database.unit_of_work() as session:
        assert prune_events(session, 40) == 0
        assert prune_events(session, 30) == 2
    with database.unit_of_work() as session:
        assert prune_events(session, 30) == 0
        assert (first_position(session), last_position(session)) == (3, 5)


def test_what_is_forgotten_while_it_is_read_is_left_out(database: Database, subject: Subject) -> None:
    for _ in range(3):
        ask(database, subject, force=True)
    age(database, 3, 2)

    @listens_for(database.engine, "after_cursor_execute", once=True)
    def forget(*_: object) -> None:
        with database.unit_of_work() as session:
            assert prune_events(session, 1) == 2

    with database.unit_of_work() as session:
        assert [told.position for told in read_events(session, Wanted(), after=0, upto=3, limit=10)] == [3]


def test_the_sweep_does_it(database: Database, subject: Subject) -> None:
    for _ in range(3):
        ask(database, subject, force=True)
    age(database, 3, 2)
    bell: Doorbell = Bell()
    chores = {"purged_events": lambda session: prune_events(session, 1)}
    with Sweeper(database, bell, QueueSettings(sweep_s=0.01), chores=chores) as sweeper:
        wait_until(lambda: len(log(database)) == 1)
    with database.unit_of_work() as session:
        assert read_counts(session) == {"purged_events": 2}
    assert "purged_events" in sweeper.actions
