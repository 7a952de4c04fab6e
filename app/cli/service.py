"""Where a command finds the service's database and Redis."""

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Final

from pydantic import ValidationError
from pydantic_settings import SettingsError
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.orm import Session

from app.access.actor import Actor, act_as
from app.access.scopes import Scope
from app.backup.errors import BackupError
from app.catalogue.errors import CatalogueError
from app.cli.failures import NOT_FOUND, REFUSED, UNREACHABLE, CommandError, Failure, failure_of
from app.core.db import Database
from app.core.errors import AppError
from app.core.logging import configure_logging
from app.core.settings import Settings
from app.embedded import EmbeddedError, running_urls

_HTTP_NOT_FOUND: Final = 404
_DRIVER: Final = "postgresql+psycopg"
_GROUPS: Final = (["keys"], ["claims"], ["webhooks"])


def settings_of(data_dir: Path | None) -> Settings:
    """The settings, with the data folder that was named, if any."""
    configure_logging("WARNING")  # on stderr: what is printed on stdout is for scripts
    try:
        settings = Settings()
    except ValidationError as error:
        raise CommandError(_wrong_settings(error)) from error
    except SettingsError as error:  # a value that has to be JSON and is none
        raise CommandError(f"{error}: see the variables VERDICTS_… in the environment") from error
    return settings.model_copy(update={"data_dir": data_dir.absolute()}) if data_dir else settings


def _wrong_settings(error: ValidationError) -> str:
    """A line for each variable that is wrong."""
    found = error.errors(include_url=False, include_input=False)
    return "\n".join(f"VERDICTS_{'__'.join(map(str, one['loc'])).upper()}: {one['msg']}" for one in found)


def connected(data_dir: Path | None) -> Settings:
    """The settings with both URLs: from the environment, else those of the `verdicts up` on this data folder.

    Raises CommandError where there is neither.
    """
    settings = settings_of(data_dir)
    _refuse_other_databases(settings.database_url)
    if settings.database_url and settings.redis_url:
        return settings
    urls = running_urls(settings.data_dir)
    if urls is None:
        raise CommandError(
            f"nothing runs on {settings.data_dir}: start it with `verdicts up`, name the folder it was started "
            "with (--data-dir or VERDICTS_DATA_DIR), or set VERDICTS_DATABASE_URL and VERDICTS_REDIS_URL",
            UNREACHABLE,
        )
    found = {"database_url": urls.database_url, "redis_url": urls.redis_url}
    kept = {name: value for name in found if (value := getattr(settings, name))}
    return settings.model_copy(update=found | kept)


def _refuse_other_databases(url: str | None) -> None:
    """Say so before a driver that is not installed is looked for. The URL may hold a password: it is not repeated."""
    try:
        is_ours = not url or make_url(url).drivername == _DRIVER
    except ArgumentError:
        is_ours = False
    if not is_ours:
        raise CommandError(f"VERDICTS_DATABASE_URL has to look like {_DRIVER}://user:password@host/database")


def _operator() -> Actor:
    """Who types: whoever reaches the database may do everything, and is named in the audit log."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no such user in this container
        user = str(os.getuid())
    words = takewhile(lambda word: not word.startswith("-"), sys.argv[1:])
    command = " ".join(list(words)[: 2 if sys.argv[1:2] in _GROUPS else 1])
    return Actor(name=f"cli:{user}", operation=f"verdicts {command}".strip(), scopes=frozenset({Scope.admin}))


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
def _(error: EmbeddedError) -> Failure:
    return Failure(str(error), UNREACHABLE)


@failure_of.register
def _(error: OperationalError) -> Failure:
    return Failure(f"the database does not answer: {reason_of(error)}", UNREACHABLE)


def reason_of(error: OperationalError) -> str:
    """Why the database does not answer, in its own words."""
    reason = str(error.orig).strip().splitlines()
    return reason[0] if reason else "no reason given"
