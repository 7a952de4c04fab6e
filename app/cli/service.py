"""What a command does in the service's database."""

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

import app.cli.service_failures  # noqa: F401  # whoever reaches the database may meet the service's errors
from app.access.actor import Actor, act_as
from app.access.scopes import Scope
from app.cli.lazy import CALLED
from app.core.db import Database
from app.core.settings import Settings


def _operator() -> Actor:
    """Who types: whoever reaches the database may do everything, and is named in the audit log."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no such user in this container
        user = str(os.getuid())
    operation = " ".join(("verdicts", *CALLED.get()))
    return Actor(name=f"cli:{user}", operation=operation, scopes=frozenset({Scope.admin}))


@contextmanager
def session_of(settings: Settings) -> Iterator[Session]:
    """One unit of work of whoever typed the command."""
    database = Database(settings.database_url or "", pool_size=1)
    try:
        with database.unit_of_work() as session:
            act_as(session, _operator())
            yield session
    finally:
        database.close()
