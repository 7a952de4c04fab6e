"""Where a command finds the database and Redis; loads nothing of what would answer from them."""

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pydantic import ValidationError
from pydantic_settings import SettingsError

from app.cli.failures import UNREACHABLE, CommandError, Failure, failure_of
from app.core.logging import configure_logging
from app.core.settings import Settings
from app.core.wrong_values import said_of
from app.embedded import EmbeddedError, running_urls

_DRIVER: Final = "postgresql+psycopg"


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
    return "\n".join(f"VERDICTS_{'__'.join(map(str, one['loc'])).upper()}: {said_of(one)}" for one in found)


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
    if url and not _is_ours(url):
        raise CommandError(f"VERDICTS_DATABASE_URL has to look like {_DRIVER}://user:password@host/database")


def _is_ours(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:  # a port that is no number
        return False
    return parts.scheme == _DRIVER


@failure_of.register
def _(error: EmbeddedError) -> Failure:
    return Failure(str(error), UNREACHABLE)
