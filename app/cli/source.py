"""Where a command gets its answers: the database of this machine, or a service anywhere. Both give the API's JSON."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Protocol
from uuid import UUID

import typer

from app.cli.failures import CommandError
from app.cli.local import Local
from app.cli.remote import Remote
from app.cli.service import connected
from app.client.models import Reproduction
from app.reproductions.schemas import ReproductionPost

ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        envvar="VERDICTS_SERVER",
        metavar="URL",
        help="Ask the service at this address, over HTTP, instead of the database here.",
        show_default=False,
    ),
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--key",
        envvar="VERDICTS_KEY",
        metavar="KEY",
        help="The API key for --server. The variable is safer: others see what is on a command line.",
        show_default=False,
    ),
]


class Source(Protocol):
    """What the commands ask. Texts are JSON as the API gives it."""

    def papers(self, q: str | None, limit: int) -> str:
        """A page of papers."""

    def paper(self, paper: str) -> str:
        """A paper document."""

    def claims(self, paper: str, limit: int) -> str:
        """A page of a paper's claims."""

    def drivers(self) -> str:
        """A page of drivers."""

    def load_drivers(self) -> None:
        """Load the catalogue."""

    def audit(self, subject: str | None, limit: int, cursor: str | None) -> str:
        """A page of the audit log."""

    def import_(self, what: str) -> tuple[str, str]:
        """Import what is named; the answer as JSON, and in words."""

    def ask(self, paper: str, post: ReproductionPost) -> tuple[str, bool]:
        """Ask for a run; the run, and whether it is known to have been in flight already."""

    def updates(self, run_id: UUID) -> Iterator[Reproduction]:
        """The run whenever it has changed, until it has ended."""

    def verdict(self, verdict_id: UUID) -> str:
        """A verdict."""


@contextmanager
def source_of(server: str | None, key: str | None, data_dir: Path | None) -> Iterator[Source]:
    """The service that is named, else the database. Raises CommandError where both are, or neither is to be found."""
    if server is None:
        yield Local(partial(connected, data_dir))
        return
    if data_dir is not None:
        raise CommandError("name a service (--server or VERDICTS_SERVER) or a data folder (--data-dir), not both")
    try:
        remote = Remote(server, key)
    except ValueError as error:
        raise CommandError(str(error)) from error
    with remote:
        yield remote
