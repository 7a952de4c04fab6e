"""What is wrong with an argument or an option of a command, in the same words as with a field of a request."""

import typer
from pydantic import ValidationError

from app.core.wrong_values import said_of


def said_of_usage(error: typer.BadParameter) -> str:
    """The sentence; the one that is there already, where it is ours."""
    cause = error.__cause__
    if not isinstance(cause, ValidationError):
        return error.message
    return said_of(cause.errors(include_url=False, include_input=False)[0]).replace("This", "It", 1)
