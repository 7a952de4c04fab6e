"""Cancel a run: at once while it waits; a running one when its worker next asks."""

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.models import Reproduction, ReproductionState
from app.reproductions.errors import ReproductionDoneError, ReproductionNotFoundError


def cancel_reproduction(session: Session, reproduction_id: UUID) -> None:
    """Ask for the run's end. Doing so twice is fine.

    Raises ReproductionNotFoundError, or ReproductionDoneError where it ended otherwise.
    """
    run = session.scalar(select(Reproduction).where(Reproduction.id == reproduction_id).with_for_update())
    if run is None:
        raise ReproductionNotFoundError(reproduction_id)
    if run.state is ReproductionState.cancelled:
        return
    if run.state.done:
        detail = f"The run has {run.state.value} already; a run that has ended cannot be cancelled."
        raise ReproductionDoneError(detail)
    moment = session.scalar(select(func.now()))
    run.cancel_requested_at = run.cancel_requested_at or moment
    if run.state is ReproductionState.queued:
        run.state = ReproductionState.cancelled
        run.finished_at = moment
