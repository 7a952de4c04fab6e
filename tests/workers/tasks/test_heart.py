"""The heart of a run: it reports on its own, and tells the run within one batch that it has to end."""

from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest
from sqlalchemy import func, select, update

from app.core.db import Database
from app.core.settings import QueueSettings, Settings
from app.models import Prediction, Reproduction
from app.reproductions.errors import CancelRequestedError, LeaseLostError
from app.reproductions.lease import Lease, Stored, read_stored
from app.reproductions.queries import read_reproduction
from app.reproductions.schemas import RunningEstimate
from app.statistics.metrics import matthews
from tests.factories.drivers import LABELS, SIZE, make_subject
from tests.factories.runs import Bell, ask, read_run, take
from workers.context import WorkerContext
from workers.evaluation.types import PredictionBatch
from workers.tasks.heart import Heart
from workers.tasks.tally import Tally


@pytest.fixture
def context(database: Database, tmp_path: Path) -> WorkerContext:
    return WorkerContext(Settings(data_dir=tmp_path, queue=QueueSettings(heartbeat_s=0.05)), database, Bell())


@pytest.fixture
def lease(database: Database) -> Lease:
    ask(database, make_subject(database))
    return take(database)


def _batch(*rows: int) -> PredictionBatch:
    gold = np.array([row % len(LABELS) for row in rows], dtype=np.int16)
    return PredictionBatch(np.array(rows, dtype=np.int64), [str(row) for row in rows], gold, gold.copy(), None)


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


def test_a_running_run_shows_the_estimate_of_its_own_metric(database: Database, context: WorkerContext) -> None:
    subject = make_subject(database, metric="mcc", claim={"metric": "mcc"})
    run_id, lease = ask(database, subject), take(database)

    def shown() -> RunningEstimate | None:
        with database.unit_of_work() as session:
            return read_reproduction(session, run_id).estimate

    with Heart(context, lease, Stored()) as heart:
        heart.stage("inference")
        heart.expect(SIZE)
        _until(lambda: read_run(database, run_id).stage == "inference")
        assert shown() is None
        confusion = np.zeros((3, 3), dtype=np.int64)
        for rows in ((0, 1, 2, 3), (4, 5, 6, 7)):
            batch = _batch(*rows)
            batch.predicted[0] = (batch.predicted[0] + 1) % 3
            np.add.at(confusion, (batch.gold, batch.predicted), 1)
            heart.add(batch)
            _until(lambda last=rows[-1]: read_run(database, run_id).progress_done == last + 1)  # type: ignore[misc]
            estimate = shown()
            assert estimate is not None
            assert estimate.metric == "mcc"
            assert estimate.value == pytest.approx(float(matthews(confusion)), abs=1e-12)
            assert estimate.interval_95[0] < estimate.value < estimate.interval_95[1]
    # Whoever goes on from here begins with the same numbers.
    with database.unit_of_work() as session:
        assert Tally.of(lease.spec, read_stored(session, lease)).estimate == estimate


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
