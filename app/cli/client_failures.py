"""What the client's errors come to at the command line."""

from app.cli.failures import NO_VERDICT, NOT_FOUND, REFUSED, UNREACHABLE, Failure, failure_of
from app.client import (
    ClientError,
    NotFoundError,
    NoVerdictError,
    ProblemError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
)


@failure_of.register
def _(error: ClientError) -> Failure:
    return Failure(error.detail if isinstance(error, ProblemError) else str(error), _code_of(error))


def _code_of(error: ClientError) -> int:
    match error:
        case NoVerdictError():
            return NO_VERDICT
        case NotFoundError():
            return NOT_FOUND
        case UnavailableError() | UnreachableError() | UnexpectedAnswerError():
            return UNREACHABLE
    return REFUSED
