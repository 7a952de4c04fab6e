"""The database: the engine, and the one unit of work that commits. `commit()` stands in this module alone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from app.core.telemetry import trace_sql

SESSION: Final = "-c timezone=utc -c statement_timeout=30000 -c random_page_cost=1.1"
"""Settings of each connection. Pages are in memory or on an SSD: at the default of 4 the planner takes the index whose
first column runs with the table for the cheapest, and walks it past thousands of rows that a filter leaves out."""
_OUTBOX: Final = "outbox"
_log = structlog.get_logger(__name__)


def after_commit(session: Session, send: Callable[[], object]) -> None:
    """Have `send` called once the unit of work has committed; never when it rolls back.

    A failing `send` is logged and goes no further: what it carries is a hint, the row is the truth.
    """
    session.info.setdefault(_OUTBOX, []).append(send)


class Database:
    """One engine and its pool."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_pre_ping=True,
            pool_timeout=10,
            connect_args={"connect_timeout": 5, "options": SESSION},
        )
        trace_sql(self.engine)

    @contextmanager
    def unit_of_work(self) -> Iterator[Session]:
        """A session whose work is committed when the block ends, and rolled back when it raises.

        Messages registered with `after_commit` go out after the commit.
        """
        session = Session(self.engine, expire_on_commit=False)
        try:
            with session:
                yield session
                session.commit()
        except BaseException:
            session.info.pop(_OUTBOX, None)
            raise
        for send in session.info.pop(_OUTBOX, []):
            try:
                send()
            except Exception:  # noqa: BLE001  # whatever a message runs into, the committed row stands
                _log.warning("after_commit_failed", exc_info=True)

    def ping(self) -> None:
        """Raise where the database does not answer."""
        with self.engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()
