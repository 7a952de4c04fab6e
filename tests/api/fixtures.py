"""The application on a database and a Redis of the test's own, and a client of it. Rooms import these by name."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from app.catalogue.load import load_catalogue
from app.core.db import Database
from app.core.settings import AccessSettings, EventSettings, QueueSettings, Settings
from app.main import create_app
from tests.api.helpers import CATALOGUE, DRAFT_DRIVER, DRIVER, PAPER, Api
from tests.factories.keys import make_key

__all__ = ["api", "app", "catalogue", "client", "database", "settings"]

UNLIMITED = AccessSettings(
    requests_per_minute=0,
    writes_per_minute=10**6,
    writes_per_minute_address=10**6,
    quota_runs=10**6,
)
"""What limits there are is tested elsewhere; here some tests send thousands of requests."""


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    # The sweeper is tested elsewhere; here it only would be a second thread on the database.
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        log_level="ERROR",
        queue=QueueSettings(sweep_s=3600),
        events=EventSettings(longest_s=0.1, poll_s=0.05),  # who asks for everything waits for the end of each stream
        access=UNLIMITED,
    )


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return create_app(settings)


@pytest.fixture
def client(app: FastAPI) -> Iterator[Api]:
    """A client of the application, with its lifespan and the key of an administrator."""
    with Api(app) as client:
        client.key = make_key(app.state.database).key
        yield client


@pytest.fixture
def database(app: FastAPI, client: Api) -> Database:  # noqa: ARG001  # the client closes the database at its end
    found = app.state.database
    assert isinstance(found, Database)
    return found


@pytest.fixture
def catalogue(database: Database, tmp_path: Path) -> Path:
    """Two drivers of the shipped catalogue are loaded: one of an arXiv paper's claim, one of a draft's."""
    for name in (
        f"drivers/{DRIVER}",
        f"drivers/{DRAFT_DRIVER}",
        f"papers/{PAPER}",
        "papers/draft-minilm-l6-nli-adapter",
    ):
        target = tmp_path / f"{name}.toml"
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(CATALOGUE / f"{name}.toml", target)
    with database.unit_of_work() as session:
        load_catalogue(session, tmp_path)
    return tmp_path


@pytest.fixture
def api(client: Api) -> Api:
    """A client of a service that has one paper with one claim."""
    client.put_paper()
    client.post_claim()
    return client
