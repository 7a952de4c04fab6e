"""Workers say that they are there, whether or not they have a run: who is silent can be told from who has none."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import delete, func, or_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.core.settings import QueueSettings
from app.models import WorkerProcess

FORGOTTEN_AFTER: Final = timedelta(hours=1)
"""A silent worker is shown, and alerted of, for so long; a process of the same host and device replaces it at once."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a worker is: its name is its process's, its place a device of a host."""

    name: str
    host: str
    device: str


def announce(session: Session, who: Identity, queue: QueueSettings) -> None:
    """Say that this worker is there, and forget those that are not: silent ones of its place, and of any since long."""
    now = func.clock_timestamp()
    said = {"seen_at": now, "alive_until": now + timedelta(seconds=queue.lease_s)}
    row = {"name": who.name, "host": who.host, "device": who.device, "started_at": now, **said}
    session.execute(insert(WorkerProcess).values(row).on_conflict_do_update(index_elements=["name"], set_=said))
    of_this_place = (WorkerProcess.host == who.host) & (WorkerProcess.device == who.device)
    since_long = WorkerProcess.alive_until < now - FORGOTTEN_AFTER
    session.execute(delete(WorkerProcess).where(WorkerProcess.alive_until < now, or_(of_this_place, since_long)))


def leave(session: Session, who: Identity) -> None:
    """This worker ends as it was asked to: nobody need miss it."""
    session.execute(delete(WorkerProcess).where(WorkerProcess.name == who.name))
