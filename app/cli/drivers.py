"""`verdicts drivers`."""

from typing import Annotated

import typer

from app.cli.options import DataDirOption, JsonOption, KeyOption, ServerOption
from app.cli.show import console, drivers_table
from app.cli.source import DRIVERS, source_of
from app.client.models import Driver, Page


def drivers(
    load: Annotated[bool, typer.Option(help="Load the catalogue first.")] = False,  # noqa: FBT002
    server: ServerOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """List the drivers."""
    with source_of(DRIVERS, server, key, data_dir) as source:
        if load:
            source.load_drivers()
        text = source.drivers()
    typer.echo(text) if as_json else console.print(drivers_table(Page[Driver].model_validate_json(text).items))
