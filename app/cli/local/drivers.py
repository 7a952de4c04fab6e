"""Drivers of this machine's database."""

from app.catalogue.load import load_catalogue
from app.cli.local.base import Local
from app.drivers.queries import list_drivers


class LocalDrivers(Local):
    """As `app.cli.source.Drivers`."""

    def drivers(self) -> str:
        """A page of drivers."""
        with self.session() as session:
            return list_drivers(session, 200, None).model_dump_json()

    def load_drivers(self) -> None:
        """Load the catalogue."""
        with self.session() as session:
            load_catalogue(session, self.settings.catalogue_dir)
