"""The sweep: nothing waits for a message that was lost, a worker that died, or a moment that passed."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.access.idempotency import purge_idempotency_keys
from app.core.db import after_commit
from app.core.queue import Doorbell
from app.core.settings import QueueSettings
from app.models import Reproduction, ReproductionState, Ring
from app.protocol.errors import DriverError
from app.reproductions.lease import COUNTED, LOST_WITH_HEADWAY, QUEUED, RING_SOON, RUNNING, ended, error_document
from app.reproductions.turns import QUEUE_ORDER

_LOCK: Final = 7_203_711_002  # key of the advisory lock: one process sweeps at a time
_RINGS: Final = 100
"""At most so many bells a sweep: in a deep queue the workers are busy anyway."""

_LOST: Final = DriverError(
    "worker_lost",
    "In every attempt that counts the worker was lost before it stored anything new: most likely it was killed for "
    "memory, or could not reach the database for as long as its lease. Ask for a new run.",
    retryable=True,
)


@dataclass(frozen=True, slots=True)
class SweepResult:
    """How many runs (and idempotency keys) the sweep touched, by action."""

    requeued: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0
    rung: int = 0
    purged_keys: int = 0


def sweep(session: Session, queue: QueueSettings, doorbell: Doorbell) -> SweepResult | None:
    """Take back expired leases, end what was cancelled or waited too long, and ring again for what still waits.

    Idempotency keys that are a day old go as well.

    None where another process is sweeping.
    """
    if not session.scalar(select(func.pg_try_advisory_xact_lock(_LOCK))):
        return None
    lost = (Reproduction.state == RUNNING) & (Reproduction.lease_until < func.now())
    asked_to_stop = Reproduction.cancel_requested_at.is_not(None)
    used_up = Reproduction.attempt >= Reproduction.max_attempts
    stopped = asked_to_stop & (lost | (Reproduction.state == QUEUED))
    cancelled = _set(session, stopped, ended(ReproductionState.cancelled))
    failed = _set(
        session,
        lost & used_up & ~LOST_WITH_HEADWAY,
        {**ended(ReproductionState.failed), "error": error_document(_LOST)},
    )
    waits = {"state": QUEUED, "stage": None, "lease_until": None, "rung_at": RING_SOON, "attempt": COUNTED}
    requeued = _set(session, lost, waits)
    overdue = (Reproduction.state == QUEUED) & (Reproduction.deadline_at < func.now())
    expired = _set(session, overdue, ended(ReproductionState.expired))
    rung = _ring_again(session, queue, doorbell)
    return SweepResult(requeued, failed, cancelled, expired, rung, purge_idempotency_keys(session))


def _set(session: Session, which: ColumnElement[bool], values: dict[str, Any]) -> int:
    # A row that somebody holds is left to the next sweep: one process that hangs must not hold up all the others' runs.
    free = select(Reproduction.id).where(which).with_for_update(skip_locked=True)
    statement = update(Reproduction).where(Reproduction.id.in_(free)).values(**values).returning(Reproduction.id)
    return len(session.execute(statement.execution_options(synchronize_session=False)).all())


def _ring_again(session: Session, queue: QueueSettings, doorbell: Doorbell) -> int:
    # Nothing of this touches the runs' rows: a row that is held is passed over by who takes what is first (Ring).
    since = func.now() - timedelta(seconds=queue.ring_again_s)
    session.execute(delete(Ring).where(Ring.rung_at < since))
    rung = select(Ring).where(Ring.reproduction_id == Reproduction.id, Ring.fence == Reproduction.fence).exists()
    quiet = (
        select(Reproduction.id, Reproduction.fence)
        .where(Reproduction.state == QUEUED, Reproduction.not_before <= func.now(), Reproduction.rung_at < since, ~rung)
        .order_by(*QUEUE_ORDER)
        .limit(_RINGS)
    )
    found = session.execute(quiet).all()
    if found:
        rings = [{"reproduction_id": run_id, "fence": fence, "rung_at": func.now()} for run_id, fence in found]
        new = insert(Ring).values(rings)
        again = {"fence": new.excluded.fence, "rung_at": new.excluded.rung_at}
        session.execute(new.on_conflict_do_update(index_elements=["reproduction_id"], set_=again))
        after_commit(session, partial(_ring_all, doorbell, [str(run_id) for run_id, _ in found]))
    return len(found)


def _ring_all(doorbell: Doorbell, ids: list[str]) -> None:
    # While the workers are busy bells pile up unheard; more of them would fill the broker and hurry nobody.
    for one in ids[doorbell.unheard() :]:
        if not doorbell.ring(one):
            return  # the broker is away: these runs are rung for again after `ring_again_s`
