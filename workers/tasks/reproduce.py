"""Reproduce: take the first run that waits, evaluate its driver, and have its verdict issued."""

from typing import Final

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from structlog.contextvars import bound_contextvars

from app.access.actor import Actor, act_as
from app.core.telemetry import continued, failed
from app.models import Verdict
from app.protocol.errors import DriverError
from app.reproductions.errors import CancelRequestedError, LeaseLostError
from app.reproductions.lease import Lease, confirm_cancel, give_up, hand_back, read_stored, take_run
from app.verdicts.conclude import conclude_run
from workers.context import WorkerContext
from workers.evaluation.run import open_run
from workers.tasks.heart import Heart, StoppingError
from workers.tasks.patience import is_away, settle

_log = structlog.get_logger(__name__)

_BROKEN: Final = DriverError(
    "internal_error",
    "The worker ran into an error of its own; the operator finds it in the log by the id of this run.",
    retryable=True,
)
_NO_MEMORY: Final = DriverError(
    "out_of_memory", "The run does not fit in this worker's memory. Ask for a smaller slice.", retryable=True
)
_NOT_STORED: Final = DriverError(
    "results_not_stored",
    "The database did not take what the worker measured: it was away for too long, or its disk is full. "
    "Ask for a new run once it is well.",
    retryable=True,
)


def reproduce_next(context: WorkerContext) -> bool:
    """Run what waits first, to its end; False where nothing waits."""
    if context.stopping.is_set():
        return False
    lease = settle(context, lambda session: take_run(session, context.name, context.settings.queue))
    if lease is None:
        return False
    facts: dict[str, str | int] = {"reproduction_id": str(lease.reproduction_id), "driver": lease.spec.slug}
    facts["attempt"] = lease.attempt
    traced = continued("reproduction", lease.traceparent, **facts)
    with bound_contextvars(request_id=lease.request_id, **facts), traced:
        _log.info("run_started")
        try:
            _to_its_end(context, lease)
        except LeaseLostError:
            _log.warning("lease_lost")
        except DBAPIError as error:
            if not is_away(error):
                raise
            # The lease runs out by itself, and another attempt goes on from what is stored.
            _log.error("run_left", error=type(error.orig).__name__)  # a line, not a page, each time
    return True


def _to_its_end(context: WorkerContext, lease: Lease) -> None:
    """Whatever happens, the run is left in a state from which it goes on or says why it does not."""
    try:
        _measure(context, lease)
    except LeaseLostError:
        raise
    except CancelRequestedError:
        settle(context, lambda session: confirm_cancel(session, lease))
        _log.info("run_cancelled")
    except StoppingError:
        settle(context, lambda session: hand_back(session, lease))
        _log.info("run_handed_back")
    except DriverError as error:
        _fail(context, lease, error)
    except MemoryError:
        _log.exception("run_broke")
        _fail(context, lease, _NO_MEMORY)
    except Exception as error:  # noqa: BLE001  # a run must never be left in the air, whatever broke
        _log.exception("run_broke")
        _fail(context, lease, _NOT_STORED if is_away(error) else _BROKEN)


def _measure(context: WorkerContext, lease: Lease) -> None:
    stored = settle(context, lambda session: read_stored(session, lease))
    with Heart(context, lease, stored) as heart:
        settings = context.settings
        run = open_run(
            lease.spec,
            catalogue=settings.catalogue_dir,
            cache=settings.cache_dir,
            device=settings.device,
            on_stage=heart.stage,
            on_step=heart.step,
        )
        heart.expect(run.total)
        for batch in run.batches(stored.rows, stored.right):
            heart.add(batch)
        heart.flush()
    facts = run.facts()
    facts["inference"] |= heart.counts
    facts["attempt"] = {"number": lease.fence, "stored_before": len(stored.rows)}

    def conclude(session: Session) -> Verdict:
        act_as(session, Actor(name=f"worker:{context.name}", operation="reproduce"))
        return conclude_run(session, lease, facts)

    verdict = settle(context, conclude)
    _log.info("verdict_issued", verdict_id=str(verdict.id), status=verdict.status, confidence=verdict.confidence)


def _fail(context: WorkerContext, lease: Lease, error: DriverError) -> None:
    failed(error.code)
    state = settle(context, lambda session: give_up(session, lease, error, context.settings.queue))
    cause = type(error.__cause__).__name__ if error.__cause__ else None
    _log.warning("run_failed", code=error.code, state=state.value, cause=cause)
