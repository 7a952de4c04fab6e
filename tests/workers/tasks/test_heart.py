"""The heart of a run: it reports on its own, and tells the run within one batch that it has to end."""

from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest
from sqlalchemy import func, select, update

from app.core.db import Database
from app.core.settings import QueueSettings, Settings
from app.models import Prediction, Reproduction
from app.reproductions.errors import CancelRequestedError, LeaseLostError
from app.reproductions.lease import Lease, Stored
from tests.factories.databases import opened
from tests.factories.drivers import LABELS, SIZE, make_subject
from tests.factories.runs import Bell, ask, read_run, take
from workers.context import WorkerContext
from workers.evaluation.types import PredictionBatch
from workers.tasks.heart import Heart


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with opened(database_url) as database:
        yield database


@pytest.fixture
def context(database: Database, tmp_path: Path) -> WorkerContext:
    return WorkerContext(Settings(data_dir=tmp_path, queue=QueueSettings(heartbeat_s=0.05)), database, Bell())


@pytest.fixture
def lease(database: Database) -> Lease:
    ask(database, make_subject(database))
    return take(database)


def _batch(*rows: int) -> PredictionBatch:
    gold = np.array([row % len(LABELS) for row in rows], dtype=np.int16)
    return PredictionBatch(np.array(rows, dtype=np.int64), [str(row) for row in rows], gold, gold, None)


def _until(reached: Callable[[], bool]) -> None:
    deadline = monotonic() + 90
    while not reached():
        assert monotonic() < deadline
        sleep(0.01)


def test_a_run_is_heard_of_more_often_than_each_second() -> None:
    assert QueueSettings().heartbeat_s <= 0.5


def test_progress_and_predictions_are_stored_while_the_next_batch_is_computed(
    context: WorkerContext, lease: Lease
) -> None:
    with Heart(context, lease, Stored()) as heart:
        heart.stage("inference")
        heart.expect(SIZE)
        for done, rows in [(4, (0, 3, 6, 9)), (6, (1, 4))]:
            heart.add(_batch(*rows))
            # Nobody flushes: this thread is in the model, and the heart's own goes on.
            _until(lambda done=done: read_run(context.database, lease.reproduction_id).progress_done == done)  # type: ignore[misc]
        before = read_run(context.database, lease.reproduction_id).heartbeat_at
        assert before is not None
        _until(lambda: (read_run(context.database, lease.reproduction_id).heartbeat_at or before) > before)
    with context.database.unit_of_work() as session:
        assert session.scalar(select(func.count()).select_from(Prediction)) == 6


@pytest.mark.parametrize("cause", ["cancelled", "taken by another"])
def test_what_ends_a_run_is_said_with_the_next_batch(context: WorkerContext, lease: Lease, cause: str) -> None:
    values = {"cancel_requested_at": func.now()} if cause == "cancelled" else {"fence": Reproduction.fence + 1}
    expected = CancelRequestedError if cause == "cancelled" else LeaseLostError
    with Heart(context, lease, Stored()) as heart:
        heart.stage("inference")
        heart.expect(SIZE)
        heart.add(_batch(0))
        with context.database.unit_of_work() as session:
            session.execute(update(Reproduction).values(**values))
        _until(lambda: heart._over is not None)
        with pytest.raises(expected):
            heart.add(_batch(1))
