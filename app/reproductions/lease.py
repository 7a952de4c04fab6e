"""The worker's side of a run: take the lease, keep it by heartbeats, and give it back when it cannot go on.

Every write is guarded by the fence of the attempt: a worker whose lease went to another changes nothing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Row, ScalarSelect, case, func, select, text, update
from sqlalchemy.orm import Session

from app.core.settings import QueueSettings
from app.models import Prediction, Reproduction, ReproductionState
from app.protocol.driver import DriverSpec
from app.protocol.errors import DriverError
from app.reproductions.course import mark
from app.reproductions.errors import CancelRequestedError, LeaseLostError
from app.reproductions.schemas import RunningEstimate
from app.reproductions.store import store_predictions
from app.reproductions.turns import QUEUE_ORDER, RUNS, WAITS

RUNNING, QUEUED = ReproductionState.running, ReproductionState.queued
RING_SOON: Final = text("to_timestamp(0)")
"""As `rung_at`: the next sweep of anybody rings, once the run may be taken."""
LOST_WITH_HEADWAY: Final = (Reproduction.state == RUNNING) & (Reproduction.progress_done > Reproduction.progress_taken)
"""Of a run whose lease ran out: its attempt stored more than it found, and does not count. Each that does not count has
one prediction less to make, so there is an end to them; what kills its workers at one place has it after a few."""
COUNTED: Final = Reproduction.attempt - case((LOST_WITH_HEADWAY, 1), else_=0)
"""The attempts that count, when a worker's loss is noticed."""
_UNREADABLE: Final = DriverError(
    "spec_unreadable",
    "The run was asked for with a driver specification that this version of the service does not read. "
    "Ask for a new run.",
)


@dataclass(frozen=True, slots=True)
class Lease:
    """One attempt at one run."""

    reproduction_id: UUID
    evidence_id: UUID
    fence: int
    attempt: int
    spec: DriverSpec
    request_id: str | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """What a heartbeat reports: the stage, and the whole progress so far."""

    stage: str
    done: int
    total: int | None
    correct: int
    estimate: RunningEstimate | None = None
    """Of a metric that the counts alone do not give."""
    counts: Mapping[str, int] | None = None
    """What inference did for what is stored with this heartbeat, and before it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What earlier attempts left of a run: predicted rows, those of them that are right, and how they were made."""

    rows: frozenset[int] = frozenset()
    right: frozenset[int] = frozenset()
    pairs: Mapping[tuple[int, int], int] = field(default_factory=dict)
    """How many rows have each (gold, predicted)."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """What inference did for them."""


def take_run(session: Session, worker: str, queue: QueueSettings) -> Lease | None:
    """Take the run that waits first (`turns.py` says which), else one whose lease ran out, or None.

    Two workers never take the same one. What was lost goes back to its place on the queue with the next sweep.

    A run whose specification cannot be read any more fails here, so that it does not stand before the others for ever.
    """
    while (row := _take_first(session, worker, queue)) is not None:
        try:
            return Lease(row[0], row[1], row[2], row[3], DriverSpec.model_validate(row[4]), row[5], row[6])
        except ValidationError:
            failed = {**ended(ReproductionState.failed), "error": error_document(_UNREADABLE)}
            session.execute(update(Reproduction).where(Reproduction.id == row[0]).values(failed))
    return None


def _take_first(
    session: Session, worker: str, queue: QueueSettings
) -> Row[UUID, UUID, int, int, dict[str, Any], str | None, str | None] | None:
    waiting = _first_of(WAITS, Reproduction.not_before <= func.now())
    lost = _first_of(RUNS, Reproduction.lease_until < func.now())
    return session.execute(
        update(Reproduction)
        # Two look-ups, the second only where the first finds nothing: each can walk an index, one with OR could not.
        .where(Reproduction.id == func.coalesce(waiting, lost))
        .values(
            state=RUNNING,
            stage="starting",
            fence=Reproduction.fence + 1,
            attempt=COUNTED + 1,
            progress_taken=Reproduction.progress_done,
            worker=worker,
            lease_until=func.now() + timedelta(seconds=queue.lease_s),
            heartbeat_at=func.now(),
            started_at=func.coalesce(Reproduction.started_at, func.now()),
        )
        .returning(
            Reproduction.id,
            Reproduction.evidence_id,
            Reproduction.fence,
            Reproduction.attempt,
            Reproduction.spec,
            Reproduction.request_id,
            Reproduction.traceparent,
        )
        .execution_options(synchronize_session=False)
    ).one_or_none()


def _first_of(*which: ColumnElement[bool]) -> ScalarSelect[UUID]:
    """The first of these runs that may be taken and that no other worker is just taking."""
    return (
        select(Reproduction.id)
        .where(
            *which,
            Reproduction.cancel_requested_at.is_(None),
            Reproduction.attempt < Reproduction.max_attempts,
            Reproduction.deadline_at > func.now(),
        )
        .order_by(*QUEUE_ORDER)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )


def heartbeat(
    session: Session, lease: Lease, beat: Beat, predictions: Sequence[dict[str, Any]], queue: QueueSettings
) -> bool:
    """Renew the lease, store progress and the new predictions, and say whether the run is to be cancelled.

    A heartbeat whose commit got lost on its way back may be repeated: what is stored already is left as it is.
    Raises LeaseLostError where the run is no longer this attempt's; nothing is stored then.
    """
    cancelled = _guarded(
        session,
        lease,
        {
            "lease_until": func.now() + timedelta(seconds=queue.lease_s),
            "heartbeat_at": func.now(),
            "stage": beat.stage,
            "progress_done": beat.done,
            "progress_total": beat.total,
            "progress_correct": beat.correct,
            "progress_estimate": beat.estimate.model_dump(mode="json") if beat.estimate else None,
            "progress_counts": dict(beat.counts) if beat.counts else None,
        },
    )
    if predictions:
        store_predictions(session, lease.evidence_id, predictions)
        if beat.total:
            mark(
                session,
                lease.reproduction_id,
                done=beat.done,
                correct=beat.correct,
                total=beat.total,
                estimate=beat.estimate,
            )
    return cancelled


def read_stored(session: Session, lease: Lease) -> Stored:
    """What earlier attempts predicted already."""
    query = select(Prediction.row, Prediction.gold, Prediction.predicted)
    found = session.execute(query.where(Prediction.evidence_id == lease.evidence_id)).all()
    counts = select(Reproduction.progress_counts).where(Reproduction.id == lease.reproduction_id)
    return Stored(
        rows=frozenset(row for row, _, _ in found),
        right=frozenset(row for row, gold, predicted in found if gold == predicted),
        pairs=Counter((gold, predicted) for _, gold, predicted in found),
        counts=session.scalar(counts) or {},
    )


def succeed(session: Session, lease: Lease) -> None:
    """Mark the run as succeeded; its verdict has to be inserted in the same transaction.

    What an earlier attempt failed of is forgotten: the run did not fail. Raises CancelRequestedError where somebody was
    told that the run is being cancelled, and LeaseLostError.
    """
    if _guarded(session, lease, {**ended(ReproductionState.succeeded), "error": None}):
        raise CancelRequestedError(str(lease.reproduction_id))


def confirm_cancel(session: Session, lease: Lease) -> None:
    """Mark the run as cancelled, after the worker has stopped."""
    _guarded(session, lease, ended(ReproductionState.cancelled))


def give_up(session: Session, lease: Lease, error: DriverError, queue: QueueSettings) -> ReproductionState:
    """Record why the attempt failed: back to the queue with back-off where a retry may help, else failed."""
    most = session.scalar(select(Reproduction.max_attempts).where(Reproduction.id == lease.reproduction_id)) or 0
    retry = error.retryable and lease.attempt < most
    values: dict[str, Any] = {"error": error_document(error)}
    if retry:
        wait = timedelta(seconds=min(queue.backoff_s * 2 ** (lease.attempt - 1), queue.backoff_most_s))
        waiting = {"state": QUEUED, "stage": None, "lease_until": None, "rung_at": RING_SOON}
        values |= {**waiting, "not_before": func.now() + wait}
    else:
        values |= ended(ReproductionState.failed)
    _guarded(session, lease, values)
    return QUEUED if retry else ReproductionState.failed


def hand_back(session: Session, lease: Lease) -> None:
    """Put the run back on the queue because the worker is shutting down. The attempt does not count."""
    values = {
        "state": QUEUED,
        "stage": None,
        "lease_until": None,
        "attempt": Reproduction.attempt - 1,
        "rung_at": RING_SOON,
    }
    _guarded(session, lease, values)


def error_document(error: DriverError) -> dict[str, Any]:
    """The error as it is stored on the run."""
    return {
        "type": f"urn:paper-verdicts:problem:{error.code}",
        "title": "The run could not measure the claim",
        "detail": error.message,
        "code": error.code,
        "retryable": error.retryable,
    }


def ended(state: ReproductionState) -> dict[str, Any]:
    """The columns of a run that has just ended in this state."""
    return {"state": state, "stage": None, "lease_until": None, "finished_at": func.now()}


def _guarded(session: Session, lease: Lease, values: dict[str, Any]) -> bool:
    """Update the run where it is still this attempt's; returns whether its cancellation is asked for."""
    row = session.execute(
        update(Reproduction)
        .where(
            Reproduction.id == lease.reproduction_id,
            Reproduction.fence == lease.fence,
            Reproduction.state == RUNNING,
        )
        .values(**values)
        .returning(Reproduction.cancel_requested_at)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if row is None:
        raise LeaseLostError(str(lease.reproduction_id))
    return row[0] is not None
