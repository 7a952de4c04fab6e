"""What the service's errors come to at the command line."""

from typing import Final

from sqlalchemy.exc import OperationalError

from app.backup.errors import BackupError
from app.catalogue.errors import CatalogueError
from app.cli.advice import advised
from app.cli.failures import MISTYPED, NOT_FOUND, REFUSED, UNREACHABLE, WRONG_USAGE, Failure, failure_of
from app.core.errors import AppError

_HTTP_NOT_FOUND: Final = 404


@failure_of.register
def _(error: AppError) -> Failure:
    code = NOT_FOUND if error.status == _HTTP_NOT_FOUND else WRONG_USAGE if error.code in MISTYPED else REFUSED
    return Failure(advised(error.code, error.detail), code)


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
