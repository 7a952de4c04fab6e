"""Options that several commands have."""

from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

import typer

from app.protocol.paper_ids import read_id
from app.protocol.slugs import is_slug

DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", help="The data folder. [env: VERDICTS_DATA_DIR]", show_default=False)
]
_PAPER: Final = "The paper's id: arXiv's, like 2004.13606, or a draft's, draft:my-paper."
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LimitOption = Annotated[int, typer.Option(min=1, max=200, help="How many at most.")]
HostOption = Annotated[str, typer.Option(help="The address to listen on.")]
PortOption = Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")]
_SERVER: Final = "Ask the service at this address, over HTTP, instead of the database here."
_KEY: Final = "The API key for --server. The variable is safer: others see what is on a command line."
ServerOption = Annotated[
    str | None,
    typer.Option("--server", envvar="VERDICTS_SERVER", metavar="URL", help=_SERVER, show_default=False),
]
KeyOption = Annotated[
    str | None, typer.Option("--key", envvar="VERDICTS_KEY", metavar="KEY", help=_KEY, show_default=False)
]
GivenServerOption = Annotated[str | None, typer.Option("--server", metavar="URL", help=_SERVER, show_default=False)]
GivenKeyOption = Annotated[str | None, typer.Option("--key", metavar="KEY", help=_KEY, show_default=False)]
"""Before the command: the variables are the command's own to read."""


def paper_of(text: str) -> str:
    """A paper's id as it is typed. Raises typer.BadParameter."""
    try:
        read_id(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return text


PaperArgument = Annotated[str, typer.Argument(metavar="PAPER", parser=paper_of, help=_PAPER)]


def slug_of(text: str) -> str:
    """A driver's name as it is typed. Raises typer.BadParameter."""
    if not is_slug(text):
        message = f"{text!r} is no driver: their names have small letters, digits and hyphens, like minilm-mnli-full"
        raise typer.BadParameter(message)
    return text


def id_of(text: str) -> UUID:
    """An id as it is typed. Raises typer.BadParameter."""
    try:
        return UUID(text)
    except ValueError as error:
        message = f"{text!r} is no id: ids are UUIDs, like 01a21525-639b-74c9-add1-2f7c9106dcf1"
        raise typer.BadParameter(message) from error
