"""Real servers for every test that asks: one Postgres and one Valkey a pytest process, a fresh database a test."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from redis import Redis

from app.core.db import Database
from app.embedded import EmbeddedServers, ServerUrls
from app.embedded.postgres import plain_dsn
from tests.factories.databases import made_from, opened, url_of
from tests.factories.forks import Forks

# The same examples each time, so that what fails fails again; how slow the machine is today decides nothing; and one
# database may see all examples of a test.
hypothesis_settings.register_profile(
    "steady",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
hypothesis_settings.load_profile("steady")


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """An empty folder with a short path, in memory where that is possible."""
    with TemporaryDirectory(prefix="verdicts-test-", dir=in_memory()) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def servers() -> Iterator[ServerUrls]:
    """VERDICTS_TEST_DATABASE_URL takes the place of the embedded Postgres; its role needs CREATEDB."""
    with TemporaryDirectory(prefix="verdicts-test-", dir=in_memory()) as folder:
        given = os.environ.get("VERDICTS_TEST_DATABASE_URL")
        with EmbeddedServers(Path(folder), durable=False, database_url=given) as urls:
            yield urls


@pytest.fixture(scope="session")
def maintenance(servers: ServerUrls) -> Iterator[psycopg.Connection]:
    """One connection for creating and dropping databases, so that each test does not open its own."""
    with psycopg.connect(servers.dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def template_database(servers: ServerUrls, maintenance: psycopg.Connection) -> Iterator[str]:
    """The name of a database with the schema of the newest migration and no rows."""
    from app.core.migrate import upgrade  # noqa: PLC0415 tests without a database do not pay for importing Alembic

    with made_from(maintenance, "template1") as name:
        upgrade(url_of(servers, name))
        yield name


@pytest.fixture
def database_url(servers: ServerUrls, maintenance: psycopg.Connection, template_database: str) -> Iterator[str]:
    """The URL, for SQLAlchemy, of a database that is this test's own and has the schema."""
    with made_from(maintenance, template_database) as name:
        yield url_of(servers, name)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """The same, opened."""
    with opened(database_url) as found:
        yield found


@pytest.fixture
def empty_database_url(servers: ServerUrls, maintenance: psycopg.Connection) -> Iterator[str]:
    """The URL, for SQLAlchemy, of a database that is this test's own and has nothing in it."""
    with made_from(maintenance, "template1") as name:
        yield url_of(servers, name)


@pytest.fixture
def dsn(database_url: str) -> str:
    """The same database as `database_url`, as psycopg and asyncpg take it."""
    return plain_dsn(database_url)


@pytest.fixture
def redis_url(servers: ServerUrls) -> str:
    """The URL of the Redis-protocol server, emptied."""
    with Redis.from_url(servers.redis_url) as client:
        client.flushall()
    return servers.redis_url


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """Starts `verdicts` commands in processes of their own."""
    with Forks() as forks:
        yield forks


def in_memory() -> str | None:
    """A folder in memory that is large enough (a container's default is 64 MiB); else the usual one for such files."""
    memory = Path("/dev/shm")  # noqa: S108 TemporaryDirectory makes an unpredictable name in it
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > 2 * 2**30 else None
