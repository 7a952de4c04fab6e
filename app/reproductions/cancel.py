"""Cancel a run: at once while it waits; a running one when its worker next asks."""

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.access.actor import actor_of
from app.access.audit import record
from app.access.scopes import Scope
from app.models import Reproduction, ReproductionState
from app.reproductions.errors import NotRequesterError, ReproductionDoneError, ReproductionNotFoundError


def cancel_reproduction(session: Session, reproduction_id: UUID) -> None:
    """Ask for the run's end. Doing so twice is fine.

    The session's actor has to have asked for the run, or to be an administrator. Raises ReproductionNotFoundError,
    NotRequesterError, or ReproductionDoneError where it ended otherwise.
    """
    run = session.scalar(select(Reproduction).where(Reproduction.id == reproduction_id).with_for_update())
    if run is None:
        raise ReproductionNotFoundError(reproduction_id)
    _refuse_others(session, run)
    if run.state is ReproductionState.cancelled:
        return
    if run.state.done:
        detail = f"The run has {run.state.value} already; a run that has ended cannot be cancelled."
        raise ReproductionDoneError(detail)
    moment = session.scalar(select(func.now()))
    if run.cancel_requested_at is None:
        run.cancel_requested_at = moment
        record(session, "reproduction.cancelled", f"reproductions/{run.id}", {"state": run.state})
    if run.state is ReproductionState.queued:
        run.state = ReproductionState.cancelled
        run.finished_at = moment


def _refuse_others(session: Session, run: Reproduction) -> None:
    actor = actor_of(session)
    if not actor.may(Scope.admin) and (run.requested_by is None or run.requested_by != actor.key_id):
        detail = f"Run {run.id} was asked for by another key; that key or one with the scope `admin` may cancel it."
        raise NotRequesterError(detail)
