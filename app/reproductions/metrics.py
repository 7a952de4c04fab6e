"""The queue in the metrics, read from Postgres when Prometheus asks."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.core.db import Database
from app.core.journal import PREFIX
from app.models import Reproduction, ReproductionState
from app.reproductions.sweeper import Sweeper

_STATES: Final = (ReproductionState.queued, ReproductionState.running)


class QueueMetrics(Collector):
    """Depth and age of the queue, runs in flight, the workers' last signs of life, and what this process swept."""

    def __init__(self, database: Database, sweeper: Sweeper) -> None:
        self._database, self._sweeper = database, sweeper

    def collect(self) -> Iterator[Metric]:
        """What Prometheus is told; without the database, that it is not there and what the process knows itself."""
        up = GaugeMetricFamily(f"{PREFIX}_database_up", "1 where the database answers.")
        try:
            with self._database.unit_of_work() as session:
                yield from _in_flight(session)
                yield from _workers(session)
            up.add_metric([], 1)
        except SQLAlchemyError:
            up.add_metric([], 0)
        yield up
        swept = CounterMetricFamily(f"{PREFIX}_swept", "What this process's sweeps did to runs.", labels=["action"])
        for action, number in self._sweeper.done.items():
            swept.add_metric([action], number)
        yield swept

    def describe(self) -> Iterator[Metric]:
        """Nothing: names are checked without asking the database."""
        return iter(())


def _in_flight(session: Session) -> Iterator[Metric]:
    runs = GaugeMetricFamily(
        f"{PREFIX}_runs", "Runs in flight by state; the queue's depth is `queued`.", labels=["state"]
    )
    age = GaugeMetricFamily(
        f"{PREFIX}_oldest_run_seconds", "Age of the oldest run in flight by state.", labels=["state"]
    )
    for state in _STATES:
        # Of what is in flight, by an index; what has ended is never counted.
        number, seconds = session.execute(
            select(
                func.count(),
                func.coalesce(func.extract("epoch", func.now() - func.min(Reproduction.requested_at)), 0),
            ).where(Reproduction.state == state)
        ).one()
        runs.add_metric([state.value], number)
        age.add_metric([state.value], float(seconds))
    yield runs
    yield age


def _workers(session: Session) -> Iterator[Metric]:
    silent = GaugeMetricFamily(
        f"{PREFIX}_worker_silence_seconds", "Since the last heartbeat of each worker with a run.", labels=["worker"]
    )
    query = (
        select(Reproduction.worker, func.extract("epoch", func.now() - func.max(Reproduction.heartbeat_at)))
        .where(Reproduction.state == ReproductionState.running)
        .group_by(Reproduction.worker)
    )
    for worker, seconds in session.execute(query):
        silent.add_metric([worker or ""], float(seconds or 0))
    yield silent
