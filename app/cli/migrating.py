"""`verdicts migrate`."""

from typing import Annotated

import typer

from app.catalogue.load import load_catalogue
from app.cli.connection import connected
from app.cli.options import DataDirOption
from app.cli.service import session_of
from app.cli.show import console
from app.core.migrate import upgrade


def migrate(
    data_dir: DataDirOption = None,
    catalogue: Annotated[bool, typer.Option(help="Load the catalogue of drivers as well.")] = False,  # noqa: FBT002
) -> None:
    """Bring the database's schema to the newest version."""
    settings = connected(data_dir)
    upgrade(settings.database_url or "")
    if catalogue:
        with session_of(settings) as session:
            loaded = load_catalogue(session, settings.catalogue_dir)
        console.print(f"{loaded.papers} papers and {loaded.drivers} drivers in the catalogue")
