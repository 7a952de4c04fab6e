"""The command `verdicts`: the same use cases as the API, from a terminal."""

import sys

from app.cli.commands import app
from app.cli.failures import INTERRUPTED, exit_code_of


def main() -> None:
    """Run the command. Errors are one line on stderr and an exit code that scripts can use (see failures.py)."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        code = exit_code_of(error)
        if code is None:
            raise
        sys.exit(code)
