"""`verdicts drivers`."""

from typing import Annotated

import typer

from app.cli.listing import print_list
from app.cli.lists import drivers_list
from app.cli.options import DataDirOption, JsonOption, KeyOption, ServerOption
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
    if as_json:
        typer.echo(text)
        return
    page = Page[Driver].model_validate_json(text)
    print_list(drivers_list(page.items), "no drivers")
