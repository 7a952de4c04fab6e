"""Reproduce: take the first run that waits, evaluate its driver, and have its verdict issued."""

import structlog
from structlog.contextvars import bound_contextvars

from app.access.actor import Actor, act_as
from app.protocol.errors import DriverError
from app.reproductions.errors import LeaseLostError
from app.reproductions.lease import Lease, confirm_cancel, give_up, hand_back, stored_rows, take_run
from app.verdicts.conclude import conclude_run
from workers.context import WorkerContext
from workers.evaluation.run import open_run
from workers.tasks.heart import CancelledError, Heart, StoppingError

_log = structlog.get_logger(__name__)


def reproduce_next(context: WorkerContext) -> bool:
    """Run what waits first, to its end; False where nothing waits."""
    if context.stopping.is_set():
        return False
    with context.database.unit_of_work() as session:
        lease = take_run(session, context.name, context.settings.queue)
    if lease is None:
        return False
    with bound_contextvars(reproduction_id=str(lease.reproduction_id), driver=lease.spec.slug, attempt=lease.attempt):
        _log.info("run_started")
        _to_its_end(context, lease)
    return True


def _to_its_end(context: WorkerContext, lease: Lease) -> None:
    """Whatever happens, the run is left in a state from which it goes on or says why it does not."""
    try:
        _measure(context, lease)
    except LeaseLostError:
        _log.warning("lease_lost")
    except CancelledError:
        with context.database.unit_of_work() as session:
            confirm_cancel(session, lease)
        _log.info("run_cancelled")
    except StoppingError:
        with context.database.unit_of_work() as session:
            hand_back(session, lease)
        _log.info("run_handed_back")
    except DriverError as error:
        _fail(context, lease, error)
    except Exception:  # noqa: BLE001  # a run must never be left in the air, whatever broke
        _log.exception("run_broke")
        detail = "The worker ran into an error of its own; the operator finds it in the log by the id of this run."
        _fail(context, lease, DriverError("internal_error", detail, retryable=True))


def _measure(context: WorkerContext, lease: Lease) -> None:
    with context.database.unit_of_work() as session:
        stored, correct = stored_rows(session, lease)
    with Heart(context, lease, stored=len(stored), correct=correct) as heart:
        settings = context.settings
        run = open_run(
            lease.spec,
            catalogue=settings.catalogue_dir,
            cache=settings.cache_dir,
            device=settings.device,
            on_stage=heart.stage,
        )
        heart.expect(run.total)
        for batch in run.batches(stored):
            heart.add(batch)
        heart.flush()
    with context.database.unit_of_work() as session:
        act_as(session, Actor(name=f"worker:{context.name}", operation="reproduce"))
        verdict = conclude_run(session, lease, run.facts())
    _log.info("verdict_issued", verdict_id=str(verdict.id), status=verdict.status, confidence=verdict.confidence)


def _fail(context: WorkerContext, lease: Lease, error: DriverError) -> None:
    with context.database.unit_of_work() as session:
        state = give_up(session, lease, error, context.settings.queue)
    _log.warning("run_failed", code=error.code, state=state.value)
