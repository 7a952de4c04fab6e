"""The application and a worker's context on the catalogue `shelf` of a module. Modules import these by name."""

from pathlib import Path
from typing import Any

import pytest

from app.catalogue.load import load_catalogue
from app.core.db import Database
from app.core.settings import QueueSettings, Settings
from tests.api.fixtures import app, client
from tests.api.helpers import Api, ok
from tests.factories.runs import Bell
from workers.context import WorkerContext

__all__ = ["app", "client", "context", "request_run", "settings"]


@pytest.fixture
def settings(database_url: str, redis_url: str, shelf: Path, tmp_path: Path) -> Settings:
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        log_level="CRITICAL",
        catalogue_dir=shelf,
        data_dir=tmp_path,
        device="cpu",
        queue=QueueSettings(sweep_s=3600, heartbeat_s=0.05),
    )


@pytest.fixture
def context(client: Api, settings: Settings) -> WorkerContext:
    database: Database = client.app.state.database  # type: ignore[attr-defined]
    with database.unit_of_work() as session:
        load_catalogue(session, settings.catalogue_dir)
    return WorkerContext(settings, database, Bell())


def request_run(client: Api, paper: str, slug: str, **fields: Any) -> str:  # noqa: ANN401  # fields of the schema
    """Ask for a run of the driver; its id."""
    return str(ok(client.post(f"/v1/papers/{paper}/reproductions", json={"driver": slug, **fields}), 202)["id"])
