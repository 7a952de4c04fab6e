"""What the client's errors come to at the command line."""

from app.cli.advice import advised
from app.cli.failures import (
    MISTYPED,
    NO_VERDICT,
    NOT_FOUND,
    REFUSED,
    UNREACHABLE,
    WRONG_USAGE,
    Failure,
    failure_of,
)
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
    return Failure(_words(error), _code_of(error))


def _words(error: ClientError) -> str:
    if not isinstance(error, ProblemError):
        return str(error)
    more = [one for one in error.errors if one.detail not in error.detail]
    fields = [f"{one.field.removeprefix('body.')}: {one.detail}" for one in more]
    return "\n".join([advised(error.code, error.detail), *fields])


def _code_of(error: ClientError) -> int:
    match error:
        case NoVerdictError():
            return NO_VERDICT
        case NotFoundError():
            return NOT_FOUND
        case UnavailableError() | UnreachableError() | UnexpectedAnswerError():
            return UNREACHABLE
        case ProblemError() if error.code in MISTYPED:
            return WRONG_USAGE
    return REFUSED
