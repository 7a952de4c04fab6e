"""Alembic's entry: runs migrations online, one process at a time."""

import os
from typing import Final

from alembic import context
from sqlalchemy import NullPool, create_engine, text

from app.models import Base

_ONE_AT_A_TIME: Final = 7_203_711_001  # key of the advisory lock; any number that nobody else uses


def run() -> None:
    """Apply the migrations under an advisory lock, so that several starting processes take turns."""
    url = context.config.get_main_option("sqlalchemy.url") or os.environ.get("VERDICTS_DATABASE_URL")
    if not url:
        message = "set VERDICTS_DATABASE_URL, or run `verdicts migrate`, which knows the database's URL"
        raise RuntimeError(message)
    # No pool: leaving the block closes the connection, and with it the lock, also when a migration fails.
    with create_engine(url, poolclass=NullPool).connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _ONE_AT_A_TIME})
        connection.commit()
        context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
        with context.begin_transaction():
            context.run_migrations()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _ONE_AT_A_TIME})
        connection.commit()


run()
