"""What a command does in the service's database, and what the service's errors come to."""

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.access.actor import Actor, act_as
from app.access.scopes import Scope
from app.backup.errors import BackupError
from app.catalogue.errors import CatalogueError
from app.cli.failures import NOT_FOUND, REFUSED, UNREACHABLE, Failure, failure_of
from app.cli.lazy import CALLED
from app.core.db import Database
from app.core.errors import AppError
from app.core.settings import Settings

_HTTP_NOT_FOUND: Final = 404


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


@failure_of.register
def _(error: AppError) -> Failure:
    return Failure(error.detail, NOT_FOUND if error.status == _HTTP_NOT_FOUND else REFUSED)


@failure_of.register
def _(error: BackupError | CatalogueError) -> Failure:
    return Failure(str(error), REFUSED)


@failure_of.register
def _(error: OperationalError) -> Failure:
    return Failure(f"the database does not answer: {reason_of(error)}", UNREACHABLE)


def reason_of(error: OperationalError) -> str:
    """Why the database does not answer, in its own words."""
    reason = str(error.orig).strip().splitlines()
    return reason[0] if reason else "no reason given"
