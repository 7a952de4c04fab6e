"""Forget events that are older than they have to be kept."""

from datetime import timedelta
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from app.models import Event

_AT_ONCE: Final = 1000


def prune_events(session: Session, keep_days: float) -> int:
    """Delete some of the events that are older than so many days; returns how many.

    The newest of the old ones stays: it tells how far the log goes back.
    """
    old = func.now() - timedelta(days=keep_days)
    newest = select(Event.position).where(Event.at < old).order_by(Event.at.desc()).limit(1).scalar_subquery()
    some = select(Event.position).where(Event.at < old, Event.position < newest).order_by(Event.at).limit(_AT_ONCE)
    statement = delete(Event).where(Event.position.in_(some)).returning(Event.position)
    return len(session.execute(statement.execution_options(synchronize_session=False)).all())
