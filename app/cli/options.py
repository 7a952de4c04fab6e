"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", help="The data folder. [env: VERDICTS_DATA_DIR]", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LimitOption = Annotated[int, typer.Option(min=1, max=200, help="How many at most.")]
HostOption = Annotated[str, typer.Option(help="The address to listen on.")]
PortOption = Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")]
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
