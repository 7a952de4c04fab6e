"""The command `verdicts`: the same use cases as the API, from a terminal."""

import sys

from app.cli.commands import app
from app.cli.failures import exit_code_of
from app.core.logging import configure_logging


def main() -> None:
    """Run the command. Errors are one line on stderr and an exit code that scripts can use (see failures.py)."""
    configure_logging("WARNING")  # on stderr: what is printed on stdout is for scripts
    try:
        app()
    except Exception as error:
        code = exit_code_of(error)
        if code is None:
            raise
        sys.exit(code)
