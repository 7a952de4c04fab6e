"""A database of one's own, opened."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from app.core.db import Database
from app.embedded import ServerUrls


@contextmanager
def opened(url: str, pool_size: int = 10) -> Iterator[Database]:
    """The database, closed at the end."""
    database = Database(url, pool_size=pool_size)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def made_from(maintenance: psycopg.Connection, template: str) -> Iterator[str]:
    """The name of a new database, a copy of the template; dropped at the end."""
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
    ours = "SELECT pid FROM pg_stat_activity WHERE datname = %s AND usename = current_user"
    for _ in range(50):
        if not (left := maintenance.execute(ours, [name]).fetchall()):
            return
        time.sleep(0.001)
    for (pid,) in left:
        maintenance.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def url_of(servers: ServerUrls, database: str) -> str:
    """The URL of another database on the same server."""
    return make_url(servers.database_url).set(database=database).render_as_string(hide_password=False)


@contextmanager
def copied(servers: ServerUrls, maintenance: psycopg.Connection, template: str) -> Iterator[str]:
    """The URL of a copy of the template that lives longer than one test: for fixtures of a module."""
    with made_from(maintenance, template) as name:
        yield url_of(servers, name)
