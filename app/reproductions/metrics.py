"""The queue in the metrics, read from Postgres when Prometheus asks."""

from collections import Counter
from collections.abc import Iterator, Mapping
from math import inf
from time import monotonic
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
from app.reproductions.swept import read_counts
from app.reproductions.workers import WorkerRead, read_present

_STATES: Final = (ReproductionState.queued, ReproductionState.running)
_ENDS: Final = tuple(state for state in ReproductionState if state.done)
_COUNTED_S: Final = 60.0
"""What has ended only grows, and counting it walks an index: so often is enough."""


class QueueMetrics(Collector):
    """Runs by state, age of the queue, the workers' last signs of life, and what was swept."""

    def __init__(self, database: Database, sweeper: Sweeper) -> None:
        self._database = database
        self._swept = dict.fromkeys(sweeper.actions, 0)
        self._ended: Mapping[str, int] = {}
        self._counted_at = -inf

    def collect(self) -> Iterator[Metric]:
        """What Prometheus is told; without the database, that it is not there, and what was swept until then."""
        up = GaugeMetricFamily(f"{PREFIX}_database_up", "1 where the database answers.")
        try:
            with self._database.unit_of_work() as session:
                yield from _by_state(session, self._ends(session))
                yield from _workers(session)
                self._swept |= read_counts(session)
            up.add_metric([], 1)
        except SQLAlchemyError:
            up.add_metric([], 0)
        yield up
        swept = CounterMetricFamily(f"{PREFIX}_swept", "What the sweeps of all processes did.", labels=["action"])
        for action, number in self._swept.items():
            swept.add_metric([action], number)
        yield swept

    def _ends(self, session: Session) -> Mapping[str, int]:
        """How many runs have ended how, as counted within the last minute."""
        if monotonic() - self._counted_at > _COUNTED_S:
            query = select(Reproduction.state, func.count()).where(Reproduction.state.in_(_ENDS))
            found = {state.value: number for state, number in session.execute(query.group_by(Reproduction.state))}
            self._ended, self._counted_at = {state.value: found.get(state.value, 0) for state in _ENDS}, monotonic()
        return self._ended

    def describe(self) -> Iterator[Metric]:
        """Nothing: names are checked without asking the database."""
        return iter(())


def _by_state(session: Session, ended: Mapping[str, int]) -> Iterator[Metric]:
    said = "Runs by state; the queue's depth is `queued`. What has ended is counted once a minute."
    runs = GaugeMetricFamily(f"{PREFIX}_runs", said, labels=["state"])
    for state, number in ended.items():
        runs.add_metric([state], number)
    age = GaugeMetricFamily(
        f"{PREFIX}_oldest_run_seconds", "Age of the oldest run in flight by state.", labels=["state"]
    )
    for state in _STATES:
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
    said = "Since the last sign of life of each worker; one that was asked to leave, or replaced, is not among them."
    silent = GaugeMetricFamily(f"{PREFIX}_worker_silence_seconds", said, labels=["worker"])
    number = GaugeMetricFamily(f"{PREFIX}_workers", "Workers by what they do.", labels=["state"])
    now, present = read_present(session)
    for worker in present.values():
        seconds = (now - worker.heartbeat_at).total_seconds() if worker.heartbeat_at else 0.0
        silent.add_metric([worker.name], max(0.0, seconds))
    states = Counter(_does(worker) for worker in present.values())
    for state in ("busy", "idle", "silent"):
        number.add_metric([state], states[state])
    yield silent
    yield number


def _does(worker: WorkerRead) -> str:
    if not worker.alive:
        return "silent"
    return "busy" if worker.run else "idle"
