"""The heartbeat stores predictions in portions, each of which stays: a run makes headway however often it dies."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from app.core.db import Database
from app.core.settings import QueueSettings, Settings
from app.models import Prediction
from app.reproductions.lease import Lease, Stored
from tests.factories.databases import opened
from tests.factories.drivers import make_subject
from tests.factories.runs import Bell, ask, read_run, take
from workers.context import WorkerContext
from workers.evaluation.types import PredictionBatch
from workers.tasks.heart import Heart


@pytest.fixture
def context(database_url: str, tmp_path: Path) -> Iterator[WorkerContext]:
    queue = QueueSettings(heartbeat_s=3600, lease_s=3600, shutdown_s=0)  # the tests beat by themselves
    with opened(database_url) as database:
        yield WorkerContext(Settings(data_dir=tmp_path, queue=queue), database, Bell())


@pytest.fixture
def lease(context: WorkerContext) -> Lease:
    ask(context.database, make_subject(context.database))
    return take(context.database)


def batch(first: int, number: int) -> PredictionBatch:
    """So many predictions, every other of them right."""
    rows = np.arange(first, first + number, dtype=np.int64)
    gold = (rows % 2).astype(np.int16)
    return PredictionBatch(rows, [str(row) for row in rows], gold, np.zeros_like(gold), None)


def stored(database: Database) -> int:
    with database.unit_of_work() as session:
        return session.scalar(select(func.count()).select_from(Prediction)) or 0


def test_a_beat_takes_a_portion_and_a_flush_all(context: WorkerContext, lease: Lease) -> None:
    heart = Heart(context, lease, Stored())
    heart.expect(3300)
    for first, number in ((0, 600), (600, 600), (1200, 2000), (3200, 100)):
        heart.add(batch(first, number))
    seen = []
    for _ in range(2):
        heart.beat()
        run = read_run(context.database, lease.reproduction_id)
        seen.append((stored(context.database), run.progress_done, run.progress_correct, run.progress_total))
    assert seen == [(1200, 1200, 600, 3300), (3200, 3200, 1600, 3300)]
    heart.flush()
    assert stored(context.database) == 3300


def test_what_was_stored_before_the_database_refused_stays(context: WorkerContext, lease: Lease) -> None:
    """A worker that is asked to stop does not insist: it leaves what it could not store to the next attempt."""
    heart = Heart(context, lease, Stored())
    heart.expect(3000)
    for first in range(0, 3000, 1000):
        heart.add(batch(first, 1000))
    with context.database.engine.begin() as connection:
        connection.execute(
            text(
                "CREATE FUNCTION full_at() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.row = 1500 THEN "
                "RAISE EXCEPTION 'no space' USING ERRCODE = 'disk_full'; END IF; RETURN NEW; END $$"
            )
        )
        connection.execute(
            text("CREATE TRIGGER full_at BEFORE INSERT ON predictions FOR EACH ROW EXECUTE FUNCTION full_at()")
        )
    context.ask_to_stop()
    with pytest.raises(DBAPIError):
        heart.flush()
    assert stored(context.database) == 1000
    assert read_run(context.database, lease.reproduction_id).progress_done == 1000
