"""What a failed command says, and with which exit code.

0 done · 1 refused (the request makes no sense, or contradicts what is stored)
2 wrong usage: also an id, a number or a cursor that cannot be, whoever finds that out · 3 no such thing
4 the run ended without a verdict · 5 the service, its database or its files cannot be reached
6 the verdict is not the expected one
7 an attestation's signature is wrong or missing · 8 a file is not the attested one · 9 the evidence decides otherwise
130 interrupted (Ctrl-C)
"""

import sys
from functools import singledispatch
from typing import Final, NamedTuple

from app.cli.plain import plain

REFUSED: Final = 1
WRONG_USAGE: Final = 2
NOT_FOUND: Final = 3
NO_VERDICT: Final = 4
UNREACHABLE: Final = 5
UNEXPECTED_VERDICT: Final = 6
SIGNATURE_WRONG: Final = 7
DIGEST_MISMATCH: Final = 8
RECOMPUTATION_DIFFERS: Final = 9
INTERRUPTED: Final = 130
_MISTYPED: Final = frozenset({"paper_id_malformed", "version_not_meant", "cursor_invalid"})
"""Problems, by their codes, that are about how an argument or an option is written."""


_HTTP_NOT_FOUND: Final = 404
_FIRST_SERVER_ERROR: Final = 500


def code_of_problem(code: str, status: int) -> int:
    """The exit code of what a service says, whether it is asked over HTTP or is this process."""
    if code in _MISTYPED:
        return WRONG_USAGE
    if status == _HTTP_NOT_FOUND:
        return NOT_FOUND
    return UNREACHABLE if status >= _FIRST_SERVER_ERROR else REFUSED


class CommandError(Exception):
    """A command that cannot be carried out."""

    def __init__(self, message: str, code: int = REFUSED) -> None:
        super().__init__(message)
        self.code = code


class Failure(NamedTuple):
    """What is said, and the exit code."""

    words: str
    code: int


@singledispatch
def failure_of(error: Exception) -> Failure | None:
    """What an error comes to; None for one that nobody foresaw.

    Whoever brings in a library registers its errors: a command that has not loaded it cannot have failed by it.
    """
    del error
    return None


@failure_of.register
def _(error: CommandError) -> Failure:
    return Failure(str(error), error.code)


def exit_code_of(error: Exception) -> int | None:
    """Say what is wrong, in one line on stderr or a few, and return the exit code; None where nobody foresaw it.

    What was added to the error on its way (its notes) follows.
    """
    failure = failure_of(error)
    if failure is None:
        return None
    notes: tuple[str, ...] = tuple(getattr(error, "__notes__", ()))
    first, *more = [*failure.words.splitlines(), *(line for note in notes for line in note.splitlines())]
    sys.stderr.write(f"verdicts: {plain(first)}\n")
    sys.stderr.writelines(f"  {plain(line)}\n" for line in more)
    return failure.code
