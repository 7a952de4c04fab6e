"""The heartbeat of a run: a thread that renews the lease and stores what has been predicted meanwhile."""

import os
import threading
from collections.abc import Mapping, Sequence
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self

import structlog
from sqlalchemy.exc import SQLAlchemyError
from structlog.contextvars import bind_contextvars, get_contextvars

from app.protocol.driver import ReleasedPredictions
from app.reproductions.errors import CancelRequestedError, LeaseLostError
from app.reproductions.lease import Beat, Lease, Stored, heartbeat
from workers.context import WorkerContext
from workers.evaluation.types import PredictionBatch
from workers.tasks.pace import Pace
from workers.tasks.patience import insist
from workers.tasks.tally import Tally

_log = structlog.get_logger(__name__)

STALLED: Final = 75
"""Exit status of a worker that ended itself because its run stood still: EX_TEMPFAIL."""


_PORTION: Final = 1000
"""Predictions of one heartbeat: at least one batch, and no other once there are so many. A run of ten thousand that
stored them in one transaction had stored nothing when its worker died in it, attempt after attempt."""


class StoppingError(Exception):
    """This worker was asked to stop."""


class Heart:
    """Beats from `__enter__` to `__exit__`, in a thread of its own, through loading and inference."""

    def __init__(self, context: WorkerContext, lease: Lease, stored: Stored) -> None:
        self._context, self._lease = context, lease
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._pending: list[PredictionBatch] = []
        self._tally = Tally.of(lease.spec, stored)
        self._stage = "starting"
        self._alive = monotonic()
        self._pace = Pace(len(stored.rows), quick=isinstance(lease.spec.model, ReleasedPredictions))
        self._over: Exception | None = None
        self._stop = threading.Event()
        self._ids = get_contextvars()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def stage(self, name: str) -> None:
        """The run has come to this stage."""
        with self._lock:
            self._stage, self._alive = name, monotonic()
        self.check()

    def expect(self, total: int) -> None:
        """The run has so many examples."""
        with self._lock:
            self._pace.expect(total)

    def add(self, batch: PredictionBatch) -> None:
        """Hand over a batch; it is stored with the next beat. Raises what ends the run, within one batch."""
        with self._lock:
            self._pending.append(batch)
            self._alive = monotonic()
            self._pace.add(len(batch))
        self.check()

    def step(self) -> None:
        """The run is alive between two batches that give no prediction. Raises as `add` does."""
        with self._lock:
            self._alive = monotonic()
        self.check()

    def check(self) -> None:
        """Raise CancelRequestedError, LeaseLostError or StoppingError where the run has to end here."""
        if self._over is not None:
            raise self._over
        if self._context.stopping.is_set() and self._pace.left_s() > self._context.seconds_to_stop():
            raise StoppingError

    def flush(self) -> None:
        """Store everything handed over so far, also where the database is away for a while."""
        left = True
        while left:
            insist(self._context, self.beat)
            self.check()
            with self._lock:
                left = bool(self._pending)

    def beat(self) -> None:
        """One heartbeat, with a portion of the predictions that wait."""
        with self._writing:
            with self._lock:
                batches, stage, total = _portion(self._pending), self._stage, self._pace.total
            tally = self._tally.grown(batches)
            beat = Beat(
                stage=stage,
                done=tally.done,
                total=total,
                correct=tally.correct,
                estimate=tally.estimate,
                counts=tally.counts,
            )
            with self._context.database.unit_of_work() as session:
                cancel = heartbeat(session, self._lease, beat, _rows(batches), self._context.settings.queue)
            with self._lock:
                del self._pending[: len(batches)]
                self._tally = tally
                if cancel and self._over is None:
                    self._over = CancelRequestedError()

    @property
    def counts(self) -> Mapping[str, int]:
        """What inference did for everything that is stored, over all attempts."""
        return self._tally.counts

    def _run(self) -> None:
        # The ids of the run, but not its trace: heartbeats would be a span every half second.
        bind_contextvars(**self._ids)
        queue = self._context.settings.queue
        while not self._stop.wait(queue.heartbeat_s):
            if monotonic() - self._alive > queue.stall_s:
                # Nothing can be done about a thread that hangs. The lease runs out, and this process is started anew.
                _log.error("run_stalled", stage=self._stage)
                os._exit(STALLED)
            try:
                self.beat()
            except LeaseLostError as error:
                self._over = error
                return
            except SQLAlchemyError as error:
                # The database may be away for a while. What was predicted waits; the lease decides whether it counts.
                _log.warning("heartbeat_failed", error=type(error).__name__)


def _portion(pending: Sequence[PredictionBatch]) -> list[PredictionBatch]:
    taken: list[PredictionBatch] = []
    number = 0
    for batch in pending:
        if number >= _PORTION:
            break
        taken.append(batch)
        number += len(batch)
    return taken


def _rows(batches: Sequence[PredictionBatch]) -> list[dict[str, Any]]:
    rows = []
    for batch in batches:
        logits = batch.logits.tolist() if batch.logits is not None else [None] * len(batch)
        columns = (batch.rows.tolist(), batch.item_ids, batch.gold.tolist(), batch.predicted.tolist(), logits)
        names = ("row", "item_id", "gold", "predicted", "logits")
        rows += [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
    return rows
