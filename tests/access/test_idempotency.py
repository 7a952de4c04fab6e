"""Idempotency-Key: the repetition of a request gets the answer of the first, and a failed one may be repeated."""

from collections.abc import Iterator
from threading import Event, Thread
from uuid import uuid4

import pytest
from sqlalchemy import func, select, text

from app.access.errors import IdempotencyBusyError, IdempotencyKeyError
from app.access.idempotency import Answer, once, purge_idempotency_keys
from app.core.db import Database
from app.models import IdempotencyKey, Reproduction
from app.reproductions.request import request_reproduction
from app.reproductions.schemas import ReproductionPost
from tests.factories.databases import opened
from tests.factories.deaf import deaf_process
from tests.factories.drivers import make_subject
from tests.factories.runs import QUEUE, Bell
from tests.factories.threads import together

BODY = b'POST reproductions 2101.00001 {"force":true}'


class Work:
    """Work whose answer is another each time, and which counts how often it was done."""

    def __init__(self) -> None:
        self.done = 0

    def __call__(self) -> Answer:
        self.done += 1
        return Answer(202, {"location": f"/v1/reproductions/{uuid4()}"}, uuid4().bytes)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with opened(database_url, pool_size=20) as database:
        yield database


def _once(
    database: Database, key: str, work: Work, body: bytes = BODY, caller: str = "caller", wait_s: float = 60
) -> tuple[Answer, bool]:
    with database.unit_of_work() as session:
        return once(session, caller, key, body, work, wait_s)


def _keys(database: Database) -> int:
    with database.unit_of_work() as session:
        return session.scalar(select(func.count()).select_from(IdempotencyKey)) or 0


def test_the_repetition_gets_the_same_answer_to_the_byte(database: Database) -> None:
    work = Work()
    first, kept = _once(database, "key", work)
    assert kept is False
    for _ in range(3):
        assert _once(database, "key", work) == (first, True)
    assert work.done == 1


def test_the_repetition_acknowledges_the_first_so_it_waits_for_every_process_to_know(database: Database) -> None:
    """The first may still wait for one that hangs, and whoever is told of a verdict reads it next from any process."""
    _once(database, "key", Work())
    with deaf_process(database) as may_show_what_was_before:
        _once(database, "key", Work())
        assert not may_show_what_was_before()


def test_another_key_is_another_request(database: Database) -> None:
    work = Work()
    assert _once(database, "one", work)[0] != _once(database, "other", work)[0]
    assert work.done == 2


def test_another_callers_key_is_another_request(database: Database) -> None:
    work = Work()
    answers = {_once(database, "key", work, caller=caller)[0].body for caller in ("one", "other")}
    assert (work.done, len(answers)) == (2, 2)
    assert _once(database, "key", work, b"another body", caller="third")[1] is False


def test_the_same_key_for_another_request_is_refused(database: Database) -> None:
    work = Work()
    first = _once(database, "key", work)[0]
    with pytest.raises(IdempotencyKeyError) as refusal:
        _once(database, "key", work, b"another body")
    assert (refusal.value.code, refusal.value.status) == ("idempotency_key_reused", 422)
    assert work.done == 1
    assert _once(database, "key", work) == (first, True)


class _WorkFailedError(Exception):
    pass


def _fail() -> Answer:
    raise _WorkFailedError


def test_a_request_that_fails_leaves_no_key(database: Database) -> None:
    with pytest.raises(_WorkFailedError), database.unit_of_work() as session:
        once(session, "caller", "key", BODY, _fail)
    assert _keys(database) == 0
    work = Work()
    assert _once(database, "key", work, b"even for another body")[1] is False
    assert work.done == 1


def test_sixteen_at_once_get_one_answer(database: Database) -> None:
    work = Work()
    answers = together(16, lambda _: _once(database, "key", work))
    assert work.done == 1
    assert len({answer.body for answer, _ in answers}) == 1
    assert sum(kept for _, kept in answers) == 15


def test_at_once_with_another_body_one_wins_and_the_others_are_refused(database: Database) -> None:
    work = Work()

    def ask(number: int) -> str:
        try:
            _once(database, "key", work, str(number % 2).encode())
        except IdempotencyKeyError:
            return f"refused {number % 2}"
        return f"answered {number % 2}"

    outcomes = together(8, ask)
    assert work.done == 1
    winner = "01"["answered 1" in outcomes]
    loser = "10"[int(winner)]
    assert sorted(outcomes) == sorted([f"answered {winner}"] * 4 + [f"refused {loser}"] * 4)


def test_who_waits_for_a_request_that_then_fails_does_the_work(database: Database) -> None:
    work, inside, go_on = Work(), Event(), Event()
    answers: list[tuple[Answer, bool]] = []

    def fail_late() -> Answer:
        inside.set()
        assert go_on.wait(60)
        raise _WorkFailedError

    def first() -> None:
        with pytest.raises(_WorkFailedError), database.unit_of_work() as session:
            once(session, "caller", "key", BODY, fail_late)

    threads = [Thread(target=first), Thread(target=lambda: answers.append(_once(database, "key", work)))]
    threads[0].start()
    assert inside.wait(60)
    threads[1].start()
    threads[1].join(0.2)
    assert (work.done, answers) == (0, [])  # it waits for what becomes of the first
    go_on.set()
    for thread in threads:
        thread.join(60)
    assert work.done == 1
    assert [kept for _, kept in answers] == [False]


def test_a_key_is_kept_for_a_day(database: Database) -> None:
    work = Work()
    first = _once(database, "key", work)[0]
    _age(database, "23 hours 59 minutes")
    assert _once(database, "key", work) == (first, True)
    _age(database, "24 hours 1 minute")
    second, kept = _once(database, "key", work, b"another body")
    assert (kept, second == first, work.done) == (False, False, 2)
    assert _once(database, "key", work, b"another body") == (second, True)


def test_a_repetition_that_waits_too_long_is_told_to_come_back(database: Database) -> None:
    work, inside, go_on = Work(), Event(), Event()

    def slow() -> Answer:
        inside.set()
        assert go_on.wait(60)
        return work()

    def first() -> None:
        with database.unit_of_work() as session:
            once(session, "caller", "key", BODY, slow)

    thread = Thread(target=first)
    thread.start()
    assert inside.wait(60)
    with pytest.raises(IdempotencyBusyError) as busy:
        _once(database, "key", work, wait_s=0.05)
    assert (busy.value.status, busy.value.headers) == (409, {"Retry-After": "1"})
    go_on.set()
    thread.join(60)
    assert _once(database, "key", work)[1] is True
    assert work.done == 1


def test_old_keys_are_purged_and_no_others(database: Database) -> None:
    work = Work()
    _once(database, "old", work)
    _age(database, "24 hours 1 minute")
    _once(database, "new", work)
    with database.unit_of_work() as session:
        assert purge_idempotency_keys(session) == 1
        assert session.scalars(select(IdempotencyKey.key)).all() == ["new"]
        assert purge_idempotency_keys(session) == 0


def _age(database: Database, age: str) -> None:
    with database.unit_of_work() as session:
        session.execute(text("UPDATE idempotency_keys SET created_at = now() - CAST(:age AS interval)"), {"age": age})


def test_a_forced_run_that_is_asked_for_again_with_its_key_is_one_run(database: Database) -> None:
    subject, bell = make_subject(database), Bell()

    def ask(_: int) -> bytes:
        with database.unit_of_work() as session:

            def answer() -> Answer:
                post = ReproductionPost(force=True)
                run_id, _ = request_reproduction(session, subject.ref, post, QUEUE, bell)
                return Answer(202, {}, str(run_id).encode())

            return once(session, "caller", "key", BODY, answer)[0].body

    answers = together(16, ask)
    with database.unit_of_work() as session:
        runs = [str(run_id) for run_id in session.scalars(select(Reproduction.id))]
    assert len(runs) == 1
    assert set(answers) == {runs[0].encode()}
    assert bell.rung == runs
