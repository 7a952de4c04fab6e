"""A process that serves from memory and hears of nothing: what is acknowledged has to wait for the end of its lease."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import text

from app.core.db import Database


@contextmanager
def deaf_process(database: Database, lease_s: float = 0.5) -> Iterator[Callable[[], bool]]:
    """Whether it may still show what was before."""
    mine = {"id": uuid4()}
    enter = text("INSERT INTO serving_processes VALUES (:id, -1, clock_timestamp() + :lease)")
    holds = text("SELECT lease_until > clock_timestamp() FROM serving_processes WHERE id = :id")
    with database.engine.begin() as connection:
        connection.execute(enter, mine | {"lease": timedelta(seconds=lease_s)})

    def may_show() -> bool:
        with database.engine.connect() as connection:
            return bool(connection.scalar(holds, mine))

    try:
        yield may_show
    finally:
        with database.engine.begin() as connection:
            connection.execute(text("DELETE FROM serving_processes WHERE id = :id"), mine)
