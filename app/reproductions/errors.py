"""What can go wrong with reproductions."""

from http import HTTPStatus
from uuid import UUID

from app.core.errors import AppError


class ReproductionNotFoundError(AppError):
    """No such reproduction."""

    status = HTTPStatus.NOT_FOUND
    code = "reproduction_not_found"
    title = "No such reproduction"

    def __init__(self, reproduction_id: UUID) -> None:
        super().__init__(f"There is no reproduction {reproduction_id}; GET /v1/reproductions lists them.")


class PaperWithdrawnError(AppError):
    """A withdrawn paper is not re-measured."""

    status = HTTPStatus.CONFLICT
    code = "paper_withdrawn"
    title = "The paper is withdrawn"


class ReproductionDoneError(AppError):
    """The run has ended; a terminal state never changes."""

    status = HTTPStatus.CONFLICT
    code = "reproduction_done"
    title = "The run has ended already"


class SliceError(AppError):
    """A slice size that the driver cannot measure."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "slice_invalid"
    title = "The slice cannot be drawn"


class QuotaExceededError(AppError):
    """The key has as many runs on the queue as it may."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "quota_exceeded"
    title = "Too many runs wait already"


class NotRequesterError(AppError):
    """Somebody else's run."""

    status = HTTPStatus.FORBIDDEN
    code = "not_requester"
    title = "The run was asked for by somebody else"


class CancelRequestedError(Exception):
    """The run's cancellation is asked for: it ends without a verdict."""


class LeaseLostError(Exception):
    """The run is no longer this worker's: its lease ran out, or somebody ended the run. Its writes are refused."""
