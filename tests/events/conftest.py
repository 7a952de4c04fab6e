"""A database with something to happen in it, and the service on it over real sockets."""

from collections.abc import Iterator

import pytest

from app.core.db import Database
from app.core.settings import QueueSettings, Settings
from tests.api.fixtures import UNLIMITED
from tests.events.running import Running, running
from tests.factories.drivers import Subject, make_subject


@pytest.fixture
def subject(database: Database) -> Subject:
    return make_subject(database)


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        log_level="ERROR",
        queue=QueueSettings(sweep_s=3600),
        access=UNLIMITED,
    )


@pytest.fixture
def service(settings: Settings) -> Iterator[Running]:
    with running(settings) as found:
        yield found
