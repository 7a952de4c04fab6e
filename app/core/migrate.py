"""Bring a database's schema to the newest migration."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

_MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"


def alembic_config(database_url: str) -> Config:
    """Alembic's configuration for this project and this database."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("sqlalchemy.url", database_url.replace("%", "%%"))
    return config


def upgrade(database_url: str, revision: str = "head") -> None:
    """Apply every migration up to `revision`. Safe to run from several processes at once: they take turns."""
    command.upgrade(alembic_config(database_url), revision)


def current_revision(connection: Connection) -> str | None:
    """The revision that the database's schema is at; None where it has none."""
    return MigrationContext.configure(connection).get_current_revision()


def is_known(revision: str) -> bool:
    """Whether there is a migration of this name."""
    scripts = ScriptDirectory.from_config(alembic_config(""))
    return revision in {script.revision for script in scripts.walk_revisions()}


def downgrade(database_url: str, revision: str) -> None:
    """Take migrations back down to `revision`; `base` removes everything."""
    command.downgrade(alembic_config(database_url), revision)
