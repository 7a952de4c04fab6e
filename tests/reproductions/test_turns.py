"""Whose turn it is: nobody starves because somebody else asked for much, and what the queue says of itself is true."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.event import listen, remove
from sqlalchemy.orm import Session

from app.access.actor import act_as
from app.access.schemas import KeyCreated
from app.access.scopes import Scope
from app.core.db import Database
from app.models import Reproduction, ReproductionState
from app.reproductions.cancel import cancel_reproduction
from app.reproductions.errors import NotRequesterError, QuotaExceededError
from app.reproductions.lease import take_run
from app.reproductions.queries import read_reproduction
from app.reproductions.request import request_reproduction
from app.reproductions.schemas import ReproductionPost
from tests.factories.databases import opened
from tests.factories.drivers import Subject, make_subject
from tests.factories.keys import holder, make_key
from tests.factories.runs import QUEUE, Bell, read_run, take, try_take
from tests.factories.threads import together


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with opened(database_url, pool_size=20) as database:
        yield database


@pytest.fixture
def subject(database: Database) -> Subject:
    return make_subject(database)


@pytest.fixture
def keys(database: Database) -> list[KeyCreated]:
    return [make_key(database, Scope.reproduce, name=name) for name in "abc"]


def ask(
    database: Database, subject: Subject, key: KeyCreated | None, *, quota: int = 1000, force: bool = True, **post: int
) -> UUID:
    """Ask for a run of one's own with the key; without one, as at the command line."""
    with database.unit_of_work() as session:
        if key is not None:
            act_as(session, holder(key))
        wanted = ReproductionPost.model_validate({"driver": subject.slug, "force": force, **post})
        return request_reproduction(session, subject.ref, wanted, QUEUE, Bell(), quota=quota)[0]


def served(database: Database, runs: Sequence[UUID]) -> list[UUID]:
    """All that wait, in the order in which a worker takes them."""
    return [take(database).reproduction_id for _ in runs]


def positions(database: Database, runs: Sequence[UUID]) -> list[int | None]:
    with database.unit_of_work() as session:
        return [read_reproduction(session, run).queue_position for run in runs]


def test_who_asks_for_one_run_waits_for_one_of_each_other(
    database: Database, subject: Subject, keys: list[KeyCreated]
) -> None:
    a, b, c = keys
    much = [ask(database, subject, a) for _ in range(5)]
    one = ask(database, subject, b)
    two = [ask(database, subject, c) for _ in range(2)]
    expected = [much[0], one, two[0], much[1], two[1], *much[2:]]
    assert positions(database, expected) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert served(database, expected) == expected
    assert try_take(database) is None


def test_who_comes_late_is_next(database: Database, subject: Subject, keys: list[KeyCreated]) -> None:
    a, b, _ = keys
    much = [ask(database, subject, a) for _ in range(6)]
    assert served(database, much[:3]) == much[:3]
    late = [ask(database, subject, b) for _ in range(2)]
    expected = [late[0], much[3], late[1], *much[4:]]
    assert positions(database, expected) == [1, 2, 3, 4, 5]
    assert served(database, expected) == expected


def test_the_command_line_is_one_more_caller(database: Database, subject: Subject, keys: list[KeyCreated]) -> None:
    much = [ask(database, subject, keys[0]) for _ in range(3)]
    local = [ask(database, subject, None) for _ in range(2)]
    expected = [much[0], local[0], much[1], local[1], much[2]]
    assert served(database, expected) == expected
    assert {read_run(database, run).requested_by for run in local} == {None}
    assert {read_run(database, run).requested_by for run in much} == {keys[0].id}


def test_urgency_comes_before_turns(database: Database, subject: Subject, keys: list[KeyCreated]) -> None:
    a, b, _ = keys
    usual = [ask(database, subject, a), ask(database, subject, a)]
    urgent = [ask(database, subject, a, priority=0), ask(database, subject, a, priority=0)]
    other = ask(database, subject, b, priority=0)
    expected = [urgent[0], other, urgent[1], *usual]
    assert served(database, expected) == expected


def test_what_was_cancelled_in_the_queue_costs_no_turn(
    database: Database, subject: Subject, keys: list[KeyCreated]
) -> None:
    a, b, _ = keys
    mistake = [ask(database, subject, a) for _ in range(5)]
    others = [ask(database, subject, b) for _ in range(3)]
    with database.unit_of_work() as session:
        act_as(session, holder(a))
        for run in mistake:
            cancel_reproduction(session, run)
    again = ask(database, subject, a)
    assert served(database, [*others, again])[:2] == [others[0], again]


def test_a_run_that_is_tried_again_keeps_its_place(
    database: Database, subject: Subject, keys: list[KeyCreated]
) -> None:
    a, b, _ = keys
    first, second = ask(database, subject, a), ask(database, subject, a)
    taken = take(database)
    with database.unit_of_work() as session:
        session.execute(text("UPDATE reproductions SET state = 'queued', lease_until = NULL WHERE state = 'running'"))
    other = ask(database, subject, b)
    assert taken.reproduction_id == first
    assert served(database, [first, other, second]) == [first, other, second]


@given(st.lists(st.sampled_from(["much", "a", "b", "take"]), max_size=60))
@settings(max_examples=12)
def test_between_two_runs_of_one_caller_no_other_has_more_than_two(
    database: Database, subject: Subject, keys: list[KeyCreated], steps: list[str]
) -> None:
    """Whatever the others do, however often they come back: who waits is served in turn."""
    with database.unit_of_work() as session:
        session.execute(
            text(
                "UPDATE reproductions SET state = 'cancelled', lease_until = NULL, finished_at = now()"
                " WHERE state IN ('queued', 'running')"
            )
        )  # of the example before
    names = dict(zip(("much", "a", "b"), keys, strict=True))
    owners: dict[UUID, str] = {ask(database, subject, keys[0]): "much" for _ in range(4)}
    order = []
    for step in steps:
        if step != "take":
            owners[ask(database, subject, names[step])] = step
        elif (lease := try_take(database)) is not None:
            order.append(owners[lease.reproduction_id])
    while (lease := try_take(database)) is not None:
        order.append(owners[lease.reproduction_id])
    assert len(order) == len(owners)
    waits = [i for i, who in enumerate(order) if who == "much"][:4]
    for before, after in zip([-1, *waits], waits, strict=False):
        between = order[before + 1 : after]
        assert all(between.count(other) <= 2 for other in ("a", "b")), order


# --- the quota


def test_a_key_has_so_many_runs_in_flight(database: Database, subject: Subject, keys: list[KeyCreated]) -> None:
    a, b, _ = keys
    runs = [ask(database, subject, a, quota=2) for _ in range(2)]
    with pytest.raises(QuotaExceededError) as refusal:
        ask(database, subject, a, quota=2)
    assert (refusal.value.status, refusal.value.code) == (429, "quota_exceeded")
    assert int(refusal.value.headers["Retry-After"]) > 0
    ask(database, subject, b, quota=2)
    ask(database, subject, None, quota=2)
    take(database)
    with pytest.raises(QuotaExceededError):  # one runs, one waits
        ask(database, subject, a, quota=2)
    with database.unit_of_work() as session:
        act_as(session, holder(a))
        cancel_reproduction(session, runs[1])
    ask(database, subject, a, quota=2)


def test_joining_a_run_takes_nothing_of_the_quota(database: Database, subject: Subject, keys: list[KeyCreated]) -> None:
    a, b, _ = keys
    run = ask(database, subject, b, force=False)
    ask(database, subject, a, quota=1)
    assert ask(database, subject, a, quota=1, force=False) == run


def test_asking_at_once_gets_round_neither_quota_nor_turns(
    database: Database, subject: Subject, keys: list[KeyCreated]
) -> None:
    def one(_: int) -> bool:
        try:
            ask(database, subject, keys[0], quota=5)
        except QuotaExceededError:
            return False
        return True

    assert sum(together(12, one)) == 5
    with database.unit_of_work() as session:
        turns = session.scalars(select(Reproduction.turn).order_by(Reproduction.turn)).all()
    assert turns == [0, 1, 2, 3, 4]


# --- whose run it is


def test_a_run_is_cancelled_by_who_asked_for_it_or_by_an_administrator(
    database: Database, subject: Subject, keys: list[KeyCreated]
) -> None:
    a, b, _ = keys
    admin = make_key(database, Scope.admin)
    mine, local = ask(database, subject, a), ask(database, subject, None)
    for key, run in ((b, mine), (a, local)):
        with database.unit_of_work() as session:
            act_as(session, holder(key))
            with pytest.raises(NotRequesterError) as refusal:
                cancel_reproduction(session, run)
        assert (refusal.value.status, refusal.value.code) == (403, "not_requester")
    for key, run in ((a, mine), (admin, local)):
        with database.unit_of_work() as session:
            act_as(session, holder(key))
            cancel_reproduction(session, run)
        assert read_run(database, run).state is ReproductionState.cancelled


# --- what it costs

COPIES = 3000
MANY = f"""
    WITH made AS (
        INSERT INTO evidence (id) SELECT gen_random_uuid() FROM generate_series(1, {COPIES}) RETURNING id
    ), numbered AS (SELECT id, row_number() OVER () AS n FROM made)
    INSERT INTO reproductions
    SELECT (jsonb_populate_record(r, jsonb_build_object(
        'id', gen_random_uuid(), 'evidence_id', numbered.id, 'turn', numbered.n, 'config_digest', numbered.id
    ))).* FROM reproductions r, numbered WHERE r.id = :id
"""  # noqa: S608  # a number of our own


def test_taking_reads_the_first_entry_of_an_index_however_many_wait(
    database: Database, subject: Subject, keys: list[KeyCreated]
) -> None:
    first = ask(database, subject, keys[0])
    with database.unit_of_work() as session:
        session.execute(text(MANY), {"id": first})
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE reproductions"))
    (taking,) = plans_of(database, lambda session: take_run(session, "w", QUEUE))
    assert "Index Scan using ix_reproductions_queue" in taking
    assert "Seq Scan" not in taking
    assert "Sort" not in taking.split("InitPlan 2")[0]  # only those whose lease ran out are sorted, and they are few

    def post(session: Session) -> None:
        act_as(session, holder(keys[1]))
        wanted = ReproductionPost(driver=subject.slug, force=True)
        request_reproduction(session, subject.ref, wanted, QUEUE, Bell(), quota=100)

    (asking,) = plans_of(database, post)
    assert "ix_reproductions_served" in asking
    assert "ix_reproductions_turns" in asking
    assert "Seq Scan" not in asking
    assert "Aggregate" not in asking


def plans_of(database: Database, work: Callable[[Session], object]) -> list[str]:
    """How Postgres would carry out what the work does to the table of runs; the work itself is undone."""
    done: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if re.match("(UPDATE|INSERT INTO) reproductions", statement):
            done.append((statement, parameters))

    listen(database.engine, "before_cursor_execute", note)
    with database.unit_of_work() as session:
        work(session)
        session.rollback()
    remove(database.engine, "before_cursor_execute", note)
    with database.engine.connect() as connection:
        plans = [connection.exec_driver_sql(f"EXPLAIN (COSTS OFF) {one}", values).scalars() for one, values in done]
        return ["\n".join(plan) for plan in plans]
