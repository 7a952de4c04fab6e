"""`python -m app.cli`, for when the script `verdicts` is not on the PATH."""

from app.cli import main

main()
