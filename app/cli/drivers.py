"""`verdicts drivers`."""

from typing import Annotated

import typer

from app.cli.lists import drivers_list, show_page
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
    show_page(text, Page[Driver], drivers_list, "no drivers", as_json=as_json, has_limit=False)
