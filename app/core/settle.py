"""After a change: wait until no process serves from memory what was before it.

The leases of Gray and Cheriton (1989): a process serves from memory only while it holds a lease, and a change is
acknowledged once every holder has heard of it or its lease has run out. Reading costs nothing for it; a change costs a
message and its echo, and at worst, when a process has just died, the length of a lease.
"""

from time import monotonic, sleep
from typing import Final

from sqlalchemy import Connection, Engine, text
from sqlalchemy.orm import Session

from app.core.db import after_commit

_REGISTERED: Final = "settles"
_PATIENCE_S: Final = 30.0
"""Longer than any lease; who is not heard of by then has no clock."""
_HOLDERS: Final = text("SELECT EXISTS (SELECT FROM serving_processes WHERE lease_until > clock_timestamp())")
# Notifications are heard in the order of their commits, and the number is drawn after the change was committed: who has
# heard of this number, or of any later one, has heard of the change.
_ASK: Final = text(
    "SELECT n, pg_notify('verdicts', 'barrier:' || n) FROM (SELECT nextval('serving_barrier') AS n) drawn"
)
_BEHIND: Final = text(
    "SELECT EXISTS (SELECT FROM serving_processes WHERE heard < :number AND lease_until > clock_timestamp())"
)


def settle_after_commit(session: Session) -> None:
    """Have the unit of work return only once no process serves what was before it."""
    if not session.info.get(_REGISTERED):
        session.info[_REGISTERED] = True
        engine = session.get_bind().engine
        after_commit(session, lambda: settle(engine))


def settle(engine: Engine) -> bool:
    """Wait until every process that serves from memory knows of all that is committed; False where one does not."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        return not connection.scalar(_HOLDERS) or _heard_by_all(connection)


def _heard_by_all(connection: Connection) -> bool:
    number = connection.execute(_ASK).scalar_one()
    pause, deadline = 0.0005, monotonic() + _PATIENCE_S
    while connection.scalar(_BEHIND, {"number": number}):
        if monotonic() > deadline:
            return False
        sleep(pause)
        pause = min(2 * pause, 0.02)
    return True
