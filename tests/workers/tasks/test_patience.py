"""A database that is away for a while: work is tried again, within bounds, and only where trying again may help."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.orm import Session

from app.core.db import Database
from app.core.settings import QueueSettings, Settings
from tests.factories.databases import opened
from tests.factories.runs import Bell
from workers.context import WorkerContext
from workers.tasks.patience import insist, settle

_GONE = text("SELECT pg_terminate_backend(pg_backend_pid())")


class Clock:
    """Time that passes only while somebody sleeps: how slow the machine is has no say in what is tried again."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("workers.tasks.patience.monotonic", clock.monotonic)
    monkeypatch.setattr("workers.tasks.patience.time", clock)
    return clock


@pytest.fixture
def context(database_url: str, tmp_path: Path, clock: Clock) -> Iterator[WorkerContext]:  # noqa: ARG001  # it is set
    settings = Settings(data_dir=tmp_path, queue=QueueSettings(lease_s=1, shutdown_s=0))
    with opened(database_url) as database:
        yield WorkerContext(settings, database, Bell())


def test_what_the_database_refused_for_a_while_is_done_in_the_end(context: WorkerContext) -> None:
    tried: list[int] = []

    def work(session: Session) -> str:
        tried.append(len(tried))
        session.execute(text("CREATE TABLE IF NOT EXISTS a (id int)"))
        if len(tried) == 1:
            session.execute(_GONE)
        session.execute(text("INSERT INTO a VALUES (1)"))
        return "done"

    assert settle(context, work) == "done"
    assert len(tried) == 2
    with context.database.unit_of_work() as session:
        assert session.scalars(text("SELECT id FROM a")).all() == [1]


def test_after_as_long_as_a_lease_it_is_given_up(context: WorkerContext, clock: Clock) -> None:
    tried: list[float] = []

    def work(session: Session) -> None:
        tried.append(clock.now)
        session.execute(_GONE)

    with pytest.raises(OperationalError):
        settle(context, work)
    assert tried == [100.0, 100.5, 101.0, 101.5]  # the first one after the second of the lease is the last


def test_a_worker_that_has_to_stop_does_not_wait(context: WorkerContext) -> None:
    context.ask_to_stop()
    tried: list[int] = []

    def call() -> None:
        tried.append(len(tried))
        with context.database.unit_of_work() as session:
            session.execute(_GONE)

    with pytest.raises(OperationalError):
        insist(context, call)
    assert len(tried) == 1


def test_what_would_be_refused_again_is_raised_at_once(context: WorkerContext) -> None:
    tried: list[int] = []

    def work(session: Session) -> None:
        tried.append(len(tried))
        session.execute(text("INSERT INTO verdicts DEFAULT VALUES"))

    with pytest.raises(IntegrityError):
        settle(context, work)
    assert len(tried) == 1


def test_a_hung_process_does_not_keep_its_locks(database_url: str) -> None:
    """The database ends a transaction in which nothing happens; whoever waits for its locks goes on."""
    hung, other = Database(database_url, idle_s=0.2), Database(database_url)
    lock = text("SELECT pg_advisory_xact_lock(4711)")
    with pytest.raises(DBAPIError) as ended, hung.unit_of_work() as session:  # noqa: PT012  # the last statement raises
        session.execute(lock)
        with other.unit_of_work() as waiting:
            waiting.execute(lock)
        session.execute(text("SELECT 1"))
    assert ended.value.connection_invalidated
    hung.close()
    other.close()
