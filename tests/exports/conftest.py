"""The application and its client for the tests of this room."""

from tests.api.fixtures import api, app, catalogue, client, database, settings

__all__ = ["api", "app", "catalogue", "client", "database", "settings"]
