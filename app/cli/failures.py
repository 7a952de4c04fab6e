"""What a failed command says, and with which exit code.

0 done · 1 refused (the request makes no sense, or contradicts what is stored) · 2 wrong usage · 3 no such thing
4 the run ended without a verdict · 5 the service, its database or its files cannot be reached
6 the verdict is not the expected one
7 an attestation's signature is wrong or missing · 8 a file is not the attested one · 9 the evidence decides otherwise
"""

import sys
from typing import Final

from sqlalchemy.exc import OperationalError

from app.backup.errors import BackupError
from app.catalogue.errors import CatalogueError
from app.cli.plain import plain
from app.client import (
    ClientError,
    NotFoundError,
    NoVerdictError,
    ProblemError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
)
from app.core.errors import AppError
from app.embedded import EmbeddedError

REFUSED: Final = 1
NOT_FOUND: Final = 3
NO_VERDICT: Final = 4
UNREACHABLE: Final = 5
UNEXPECTED_VERDICT: Final = 6
SIGNATURE_WRONG: Final = 7
DIGEST_MISMATCH: Final = 8
RECOMPUTATION_DIFFERS: Final = 9

_HTTP_NOT_FOUND: Final = 404


class CommandError(Exception):
    """A command that cannot be carried out."""

    def __init__(self, message: str, code: int = REFUSED) -> None:
        super().__init__(message)
        self.code = code


def exit_code_of(error: Exception) -> int | None:
    """Say what is wrong in one line on stderr and return the exit code; None for an error that nobody foresaw."""
    match error:
        case CommandError():
            return _say(str(error), error.code)
        case AppError():
            return _say(error.detail, NOT_FOUND if error.status == _HTTP_NOT_FOUND else REFUSED)
        case ClientError():
            return _say(error.detail if isinstance(error, ProblemError) else str(error), _code_of(error))
        case CatalogueError() | BackupError():
            return _say(str(error), REFUSED)
        case EmbeddedError() | OperationalError():
            return _say(_unreachable(error), UNREACHABLE)
    return None


def _unreachable(error: EmbeddedError | OperationalError) -> str:
    if isinstance(error, EmbeddedError):
        return str(error)
    reason = str(error.orig).strip().splitlines()
    return f"the database does not answer: {reason[0] if reason else 'no reason given'}"


def _code_of(error: ClientError) -> int:
    match error:
        case NoVerdictError():
            return NO_VERDICT
        case NotFoundError():
            return NOT_FOUND
        case UnavailableError() | UnreachableError() | UnexpectedAnswerError():
            return UNREACHABLE
    return REFUSED


def _say(message: str, code: int) -> int:
    first, *more = message.splitlines()
    sys.stderr.write(f"verdicts: {plain(first)}\n")
    sys.stderr.writelines(f"  {plain(line)}\n" for line in more)
    return code
