"""The unit of work: all or nothing, and messages only about what was committed."""

from collections.abc import Iterator

import pytest
import structlog
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from app.core.db import Database, after_commit
from tests.factories.databases import opened


class Unlucky(BaseException):
    """Neither an Exception nor expected: what Ctrl-C is."""


@pytest.fixture
def database(empty_database_url: str) -> Iterator[Database]:
    with opened(empty_database_url) as database:
        with database.unit_of_work() as session:
            session.execute(text("CREATE TABLE parents (id int PRIMARY KEY)"))
            session.execute(text("CREATE TABLE notes (id int PRIMARY KEY, parent int REFERENCES parents DEFERRABLE)"))
        yield database


def _note(session: Session, number: int, parent: int | None = None) -> None:
    session.execute(text("INSERT INTO notes VALUES (:id, :parent)"), {"id": number, "parent": parent})


def _notes(database: Database) -> list[int]:
    with database.engine.connect() as connection:
        return list(connection.scalars(text("SELECT id FROM notes ORDER BY id")))


def test_work_is_committed_when_the_block_ends(database: Database) -> None:
    with database.unit_of_work() as session:
        _note(session, 1)
        assert _notes(database) == []
    assert _notes(database) == [1]


@pytest.mark.parametrize("error", [ValueError("no"), Unlucky()])
def test_whatever_is_raised_nothing_stays_and_nothing_is_sent(database: Database, error: BaseException) -> None:
    sent: list[str] = []

    def fail() -> None:
        with database.unit_of_work() as session:
            _note(session, 1)
            after_commit(session, lambda: sent.append("a"))
            raise error

    with pytest.raises(type(error)):
        fail()
    assert (_notes(database), sent) == ([], [])


def test_messages_go_out_after_the_commit_in_their_order(database: Database) -> None:
    seen: list[tuple[str, list[int]]] = []
    with database.unit_of_work() as session:
        _note(session, 1)
        after_commit(session, lambda: seen.append(("first", _notes(database))))
        after_commit(session, lambda: seen.append(("second", _notes(database))))
        assert seen == []
    assert seen == [("first", [1]), ("second", [1])]


def test_releasing_a_savepoint_sends_nothing(database: Database) -> None:
    sent: list[str] = []
    with database.unit_of_work() as session:
        with session.begin_nested():
            _note(session, 1)
            after_commit(session, lambda: sent.append("a"))
        assert sent == []
    assert sent == ["a"]


def test_a_commit_that_fails_raises_and_sends_nothing(database: Database) -> None:
    sent: list[str] = []
    reached: list[str] = []

    def fail() -> None:
        with database.unit_of_work() as session:
            session.execute(text("SET CONSTRAINTS ALL DEFERRED"))
            _note(session, 1, parent=99)
            after_commit(session, lambda: sent.append("a"))
            reached.append("the end of the block")

    with pytest.raises(IntegrityError) as failure:
        fail()
    assert reached == ["the end of the block"]
    assert getattr(failure.value.orig, "sqlstate", None) == "23503"
    assert (_notes(database), sent) == ([], [])


def test_a_message_that_fails_harms_neither_the_work_nor_the_next_message(database: Database) -> None:
    sent: list[str] = []

    def fail() -> None:
        raise ConnectionError("the broker is away")

    with structlog.testing.capture_logs() as logs, database.unit_of_work() as session:
        _note(session, 1)
        after_commit(session, fail)
        after_commit(session, lambda: sent.append("b"))
    assert (_notes(database), sent) == ([1], ["b"])
    assert [(log["event"], log["log_level"]) for log in logs] == [("after_commit_failed", "warning")]


def test_messages_of_one_unit_are_not_sent_by_the_next(database: Database) -> None:
    sent: list[str] = []
    with database.unit_of_work() as session:
        after_commit(session, lambda: sent.append("a"))
    with database.unit_of_work() as session:
        _note(session, 1)
    assert sent == ["a"]


def test_what_was_read_stays_readable_after_the_commit(database: Database) -> None:
    with database.unit_of_work() as session:
        row = session.execute(text("SELECT 1 AS one")).one()
    assert row.one == 1


def test_a_broken_unit_gives_its_connection_back(empty_database_url: str) -> None:
    with opened(empty_database_url, pool_size=1) as database:
        for _ in range(5):  # more than the pool and its overflow hold
            with pytest.raises(ProgrammingError), database.unit_of_work() as session:
                session.execute(text("SELECT * FROM nowhere"))
        database.ping()


def test_times_are_told_in_utc_and_no_statement_runs_for_ever(database: Database) -> None:
    with database.unit_of_work() as session:
        assert session.scalar(text("SHOW timezone")) == "UTC"
        assert session.scalar(text("SHOW statement_timeout")) == "30s"


def test_a_connection_that_died_in_the_pool_is_replaced(database: Database) -> None:
    database.ping()
    with database.engine.connect() as killer:
        killer.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    with database.engine.connect() as one, database.engine.connect() as other:
        assert one.scalar(text("SELECT 1")) == other.scalar(text("SELECT 1")) == 1


def test_ping_raises_where_nothing_answers(empty_database_url: str) -> None:
    nowhere = empty_database_url.replace("port=5432", "port=1")
    assert nowhere != empty_database_url
    with opened(nowhere) as database, pytest.raises(OperationalError):
        database.ping()
