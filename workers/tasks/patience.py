"""Work on the database that is tried again while the database is away: a restart of it costs no attempt."""

import time
from collections.abc import Callable
from time import monotonic
from typing import Final, TypeVar

import structlog
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from workers.context import WorkerContext

_Result = TypeVar("_Result")
_PAUSE_S: Final = 0.5
_log = structlog.get_logger(__name__)


def insist(context: WorkerContext, call: Callable[[], _Result]) -> _Result:
    """What `call` returned, tried again for as long as a lease lasts, or as this worker may take to stop.

    It has to bear repetition: a commit may have arrived although its answer was lost. Raises DBAPIError where the
    database did not take it in all that time, and at once whatever else is raised.
    """
    until = monotonic() + context.settings.queue.lease_s
    while True:
        try:
            return call()
        except DBAPIError as error:
            if not is_away(error) or monotonic() > until or context.seconds_to_stop() <= 0:
                raise
            _log.warning("database_away", error=type(error.orig).__name__)
        # Not the event's `wait`: the handler of the stop signal runs in this thread and sets the event.
        time.sleep(_PAUSE_S)


def is_away(error: Exception) -> bool:
    """Whether the database is away, or has ended our connection (as it does where a transaction stands still)."""
    return isinstance(error, OperationalError) or (isinstance(error, DBAPIError) and error.connection_invalidated)


def settle(context: WorkerContext, work: Callable[[Session], _Result]) -> _Result:
    """What `work` returned in a unit of work of its own, with the same patience."""

    def once() -> _Result:
        with context.database.unit_of_work() as session:
            return work(session)

    return insist(context, once)
