"""What the client's errors come to at the command line."""

from app.cli.advice import advised
from app.cli.failures import NO_VERDICT, REFUSED, UNREACHABLE, Failure, code_of_problem, failure_of
from app.client import ClientError, NoVerdictError, ProblemError, UnexpectedAnswerError, UnreachableError


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
        case UnreachableError() | UnexpectedAnswerError():
            return UNREACHABLE
        case ProblemError():
            return code_of_problem(error.code, error.status)
    return REFUSED
