"""What the service's errors come to at the command line."""

from sqlalchemy.exc import OperationalError

from app.backup.errors import BackupError
from app.catalogue.errors import CatalogueError
from app.cli.advice import advised
from app.cli.failures import REFUSED, UNREACHABLE, Failure, code_of_problem, failure_of
from app.core.errors import AppError


@failure_of.register
def _(error: AppError) -> Failure:
    return Failure(advised(error.code, error.detail), code_of_problem(error.code, error.status))


@failure_of.register
def _(error: BackupError | CatalogueError) -> Failure:
    return Failure(str(error), REFUSED)


@failure_of.register
def _(error: OperationalError) -> Failure:
    return Failure(f"the database does not answer: {reason_of(error)}", UNREACHABLE)


def reason_of(error: OperationalError) -> str:
    """Why the database does not answer, in its own words."""
    reason = str(error.orig).strip().splitlines()
    return reason[0] if reason else "no reason given"
