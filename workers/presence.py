"""A worker shows that it lives, with or without a run: by a file to its host, by a row to everybody else."""

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.reproductions.presence import announce, leave
from workers.context import WorkerContext
from workers.health import sign_of_life

_log = structlog.get_logger(__name__)


def is_there(context: WorkerContext) -> None:
    """Show it in both ways, each also where the other fails."""
    try:
        sign_of_life(context.settings)
    finally:
        with context.database.unit_of_work() as session:
            announce(session, context.identity, context.settings.queue)


def has_left(context: WorkerContext) -> None:
    """This worker ends in good order; where the database is away it will be missed for a while."""
    try:
        with context.database.unit_of_work() as session:
            leave(session, context.identity)
    except SQLAlchemyError as error:
        _log.warning("leaving_not_noted", error=type(error).__name__)
