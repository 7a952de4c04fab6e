"""Real servers for every test that asks: one Postgres and one Valkey a pytest process, a fresh database a test."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from redis import Redis
from sqlalchemy import make_url

from app.embedded import EmbeddedServers, ServerUrls
from app.embedded.postgres import plain_dsn


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """An empty folder with a short path, in memory where that is possible."""
    with TemporaryDirectory(prefix="verdicts-test-", dir=_in_memory()) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def servers() -> Iterator[ServerUrls]:
    """VERDICTS_TEST_DATABASE_URL takes the place of the embedded Postgres; its role needs CREATEDB."""
    with TemporaryDirectory(prefix="verdicts-test-", dir=_in_memory()) as folder:
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

    with _database(maintenance, "template1") as name:
        upgrade(_url(servers, name))
        yield name


@pytest.fixture
def database_url(servers: ServerUrls, maintenance: psycopg.Connection, template_database: str) -> Iterator[str]:
    """The URL, for SQLAlchemy, of a database that is this test's own and has the schema."""
    with _database(maintenance, template_database) as name:
        yield _url(servers, name)


@pytest.fixture
def empty_database_url(servers: ServerUrls, maintenance: psycopg.Connection) -> Iterator[str]:
    """The URL, for SQLAlchemy, of a database that is this test's own and has nothing in it."""
    with _database(maintenance, "template1") as name:
        yield _url(servers, name)


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


@contextmanager
def _database(maintenance: psycopg.Connection, template: str) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    names = {"name": sql.Identifier(name), "template": sql.Identifier(template)}
    # In memory FILE_COPY takes 8 ms and WAL_LOG 16; on a disk they are alike (70 to 400 ms).
    maintenance.execute(sql.SQL("CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY").format(**names))
    try:
        yield name
    finally:
        _end_sessions(maintenance, name)
        maintenance.execute(sql.SQL("DROP DATABASE {name}").format(**names))


def _end_sessions(maintenance: psycopg.Connection, name: str) -> None:
    # DROP ... WITH (FORCE) is refused to a plain role while autovacuum is in the database; DROP alone sends that away.
    # A server process ends a moment after its client; DROP that meets one sleeps for 100 ms.
    left = "FROM pg_stat_activity WHERE datname = %s AND usename = current_user"
    for _ in range(50):
        if not maintenance.execute(f"SELECT {left}", [name]).rowcount:  # noqa: S608 the words are this function's own
            return
        time.sleep(0.001)
    maintenance.execute(f"SELECT pg_terminate_backend(pid, 5000) {left}", [name])  # noqa: S608 as above


def _in_memory() -> str | None:
    """A folder in memory that is large enough (a container's default is 64 MiB); else the usual one for such files."""
    memory = Path("/dev/shm")  # noqa: S108 TemporaryDirectory makes an unpredictable name in it
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > 2 * 2**30 else None


def _url(servers: ServerUrls, database: str) -> str:
    return make_url(servers.database_url).set(database=database).render_as_string(hide_password=False)
