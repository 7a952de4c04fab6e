"""The database: the engine, and the one unit of work that commits. `commit()` stands in this module alone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final, cast

import structlog
from sqlalchemy import Engine, create_engine, func, select, text
from sqlalchemy.orm import Session

from app.core.clock import to_milliseconds
from app.core.telemetry import trace_sql

SESSION: Final = (
    "-c timezone=utc -c statement_timeout=30000 -c random_page_cost=1.1 -c client_connection_check_interval=1000"
)
"""Settings of each connection. Pages are in memory or on an SSD: at the default of 4 the planner takes the index whose
first column runs with the table for the cheapest, and walks it past thousands of rows that a filter leaves out.
A statement whose client was killed ends within a second, and does not wait on for its lock."""
_OUTBOX: Final = "outbox"
_WORK: Final = "unit_of_work"
_KEEPALIVE: Final = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
"""A server whose host vanished is noticed within half a minute, and not after the kernel's two hours."""
_log = structlog.get_logger(__name__)


def database_now(session: Session) -> datetime:
    """Now by the clock of the database, which all hosts share: later than everything that this session can see."""
    return to_milliseconds(session.scalars(select(func.clock_timestamp())).one())


def after_commit(session: Session, send: Callable[[], object]) -> None:
    """Have `send` called once the unit of work has committed; never when it rolls back.

    A failing `send` is logged and goes no further: what it carries is a hint, the row is the truth.
    """
    session.info.setdefault(_OUTBOX, []).append(send)


class UnitOfWork:
    """A session and its end, once: what was finished is not abandoned any more."""

    __slots__ = ("is_open", "session")

    def __init__(self, engine: Engine) -> None:
        self.session: Final = Session(engine, expire_on_commit=False, info={_WORK: self})
        self.is_open = True

    def finish(self) -> None:
        """Commit; then messages registered with `after_commit` go out. Raises what the commit raises."""
        if not self.is_open:
            return
        self.is_open = False
        messages = self.session.info.pop(_OUTBOX, [])
        with self.session:
            if self.session.in_transaction():  # to end one that was not begun would begin it first
                self.session.commit()
        for send in messages:
            try:
                send()
            except Exception:  # noqa: BLE001  # whatever a message runs into, the committed row stands
                _log.warning("after_commit_failed", exc_info=True)

    def abandon(self) -> None:
        """Roll back."""
        if self.is_open:
            self.is_open = False
            self.session.info.pop(_OUTBOX, None)
            self.session.close()


def unit_of(session: Session) -> UnitOfWork:
    """The unit of work that the session belongs to."""
    return cast("UnitOfWork", session.info[_WORK])


class Database:
    """One engine and its pool.

    A transaction in which this process does nothing for `idle_s` seconds is ended by the database: a process that hangs
    or whose host vanished would hold its locks, the sweep's among them, for as long.
    """

    def __init__(self, url: str, *, pool_size: int = 10, idle_s: float = 30.0) -> None:
        bounds = f"-c idle_in_transaction_session_timeout={round(idle_s * 1000)}"
        self.engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_pre_ping=True,
            pool_timeout=10,
            hide_parameters=True,  # an error is logged as a line, and not with the thousand rows that it was about
            connect_args={"connect_timeout": 5, "options": f"{SESSION} {bounds}", **_KEEPALIVE},
        )
        trace_sql(self.engine)

    def begin(self) -> UnitOfWork:
        """A unit of work that its maker ends."""
        return UnitOfWork(self.engine)

    @contextmanager
    def unit_of_work(self) -> Iterator[Session]:
        """A session whose work is committed when the block ends, and rolled back when it raises.

        Messages registered with `after_commit` go out after the commit.
        """
        work = self.begin()
        try:
            yield work.session
        except BaseException:
            work.abandon()
            raise
        work.finish()

    def ping(self) -> None:
        """Raise where the database does not answer."""
        with self.engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()
