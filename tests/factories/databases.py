"""A database of one's own, opened."""

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
def copied(servers: ServerUrls, maintenance: psycopg.Connection, template: str) -> Iterator[str]:
    """The URL of a copy of the template that lives longer than one test: for fixtures of a module."""
    name = f"kept_{uuid4().hex}"
    names = {"name": sql.Identifier(name), "template": sql.Identifier(template)}
    maintenance.execute(sql.SQL("CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY").format(**names))
    try:
        yield make_url(servers.database_url).set(database=name).render_as_string(hide_password=False)
    finally:
        maintenance.execute(sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**names))
