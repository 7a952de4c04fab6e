"""A service with something in it, and what answers as a broken one."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest

from app.access.scopes import Scope
from app.client import Client
from app.core.db import Database
from app.core.settings import Settings
from app.embedded import ServerUrls
from app.verdicts.conclude import conclude_run
from tests.client.both import BOTH, client_of
from tests.client.scripted import PATIENCE_S, Script, scripted
from tests.factories.databases import copied, opened
from tests.factories.drivers import Subject, make_subject
from tests.factories.keys import make_key
from tests.factories.runs import beat, facts, predictions, try_take
from tests.factories.threaded import served_here


@pytest.fixture(params=BOTH)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def script() -> Iterator[Script]:
    with scripted() as found:
        yield found


@pytest.fixture
def asking(way: str, script: Script) -> Iterator[Client]:
    """A client of the script."""
    with client_of(way, script.url, "pv_000000000000.secret") as client:
        yield client


@dataclass(frozen=True)
class World:
    """A service, its database, a key for everything, and a paper with a driver."""

    url: str
    key: str
    database: Database
    subject: Subject

    def worker(self) -> threading.Thread:
        """Do a worker's part for the next run, without a model: all its predictions, its verdict."""

        def work() -> None:
            deadline = time.monotonic() + PATIENCE_S
            while (lease := try_take(self.database)) is None:
                assert time.monotonic() < deadline, "nobody asked for a run"
                time.sleep(0.02)
            beat(self.database, lease, predictions(wrong=(9, 10, 11)))
            with self.database.unit_of_work() as session:
                conclude_run(session, lease, facts())

        return threading.Thread(target=work)


@pytest.fixture(scope="session")
def world(
    servers: ServerUrls,
    maintenance: psycopg.Connection,
    template_database: str,
) -> Iterator[World]:
    """One for all tests of the room, which leave it as they find it or add to it."""
    with copied(servers, maintenance, template_database) as url, opened(url) as database:
        subject = make_subject(database)
        key = make_key(database, Scope.admin).key
        settings = Settings(database_url=url, redis_url=servers.redis_url, log_level="ERROR")
        with served_here(settings) as address:
            yield World(address, key, database, subject)
