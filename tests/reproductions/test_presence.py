"""Workers that are there, silent, replaced, or have left: told apart with and without a run."""

from sqlalchemy import text

from app.core.db import Database
from app.reproductions.presence import Identity, announce, leave
from app.reproductions.workers import WorkerRead, read_crew
from tests.factories.drivers import make_subject
from tests.factories.runs import QUEUE, ask, let_pass, take

ONE, ANOTHER, ELSEWHERE = (Identity(name, host, "cpu") for name, host in (("a:1", "a"), ("a:2", "a"), ("b:1", "b")))


def _say(database: Database, *workers: Identity) -> None:
    for who in workers:
        with database.unit_of_work() as session:
            announce(session, who, QUEUE)


def _silence(database: Database, who: Identity, since: str) -> None:
    moved = "seen_at = seen_at - :since ::interval, alive_until = now() - :since ::interval"
    with database.unit_of_work() as session:
        session.execute(
            text(f"UPDATE worker_processes SET {moved} WHERE name = :name"),  # noqa: S608  # a constant
            {"since": since, "name": who.name},
        )


def _crew(database: Database) -> dict[str, WorkerRead]:
    with database.unit_of_work() as session:
        return {worker.name: worker for worker in read_crew(session).workers}


def test_an_idle_worker_is_there_and_is_missed_when_it_says_nothing(database: Database) -> None:
    _say(database, ONE, ELSEWHERE)
    crew = _crew(database)
    assert {name: (one.alive, one.run, one.device) for name, one in crew.items()} == {
        "a:1": (True, None, "cpu"),
        "b:1": (True, None, "cpu"),
    }
    _silence(database, ONE, "40 minutes")
    _say(database, ELSEWHERE)
    crew = _crew(database)
    assert (crew["a:1"].alive, crew["a:1"].left, crew["b:1"].alive) == (False, False, True)
    assert list(crew) == ["b:1", "a:1"]  # those that live come first
    _say(database, ONE)
    assert _crew(database)["a:1"].alive  # it only stood still


def test_a_silent_worker_is_forgotten_when_another_takes_its_place_or_after_an_hour(database: Database) -> None:
    _say(database, ONE, ELSEWHERE)
    _say(database, ANOTHER)
    assert set(_crew(database)) == {"a:1", "a:2", "b:1"}  # two of a place, both there
    _silence(database, ONE, "1 second")
    _say(database, ELSEWHERE)
    assert set(_crew(database)) == {"a:1", "a:2", "b:1"}
    _say(database, ANOTHER)
    assert set(_crew(database)) == {"a:2", "b:1"}
    _silence(database, ELSEWHERE, "61 minutes")
    _say(database, ANOTHER)
    assert set(_crew(database)) == {"a:2"}


def test_who_leaves_is_not_missed(database: Database) -> None:
    _say(database, ONE)
    with database.unit_of_work() as session:
        leave(session, ONE)
    assert _crew(database) == {}


def test_a_worker_with_a_run_is_as_alive_as_its_lease(database: Database) -> None:
    subject = make_subject(database)
    first, second = ask(database, subject), ask(database, subject, force=True)
    for who in (ONE, ELSEWHERE):
        take(database, who.name)
    _say(database, ONE)
    let_pass(database, second, "lease_until")
    crew = _crew(database)
    assert (crew["a:1"].run, crew["a:1"].alive, crew["a:1"].device) == (first, True, "cpu")
    assert (crew["b:1"].run, crew["b:1"].alive, crew["b:1"].device) == (second, False, None)
    with database.unit_of_work() as session:
        session.execute(text("UPDATE reproductions SET state = 'queued', lease_until = NULL, stage = NULL"))
        leave(session, ONE)
    crew = _crew(database)
    assert {name: (one.run, one.left, one.ended_runs) for name, one in crew.items()} == {
        "a:1": (None, True, 1),
        "b:1": (None, True, 1),
    }
