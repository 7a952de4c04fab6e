"""Several threads that start at the same moment, or that wait for each other in the database."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

from sqlalchemy import text

from app.core.db import Database

Result = TypeVar("Result")


def together(number: int, work: Callable[[int], Result]) -> list[Result]:
    """What `work` returned in each thread, by its number; raises what one of them raised."""
    barrier = Barrier(number)

    def start(one: int) -> Result:
        barrier.wait(timeout=60)
        return work(one)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(start, range(number)))


def wait_until_blocked(database: Database, sessions: int = 1) -> None:
    """Return when so many sessions of the database wait for a lock."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with database.engine.connect() as connection:
            if (connection.scalar(waiting) or 0) >= sessions:
                return
        time.sleep(0.01)
    raise TimeoutError("nobody waits for a lock")
