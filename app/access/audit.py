"""The audit log: written in the transaction of the change it tells of, and only ever added to."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from app.access.actor import actor_of
from app.access.schemas import AuditRead
from app.core.pagination import Page, decode_cursor, encode_cursor
from app.models import AuditEntry
from app.models.base import new_id

_LONGEST: Final = 200
"""Longer values are cut: the log says what changed; the rows hold the text."""


def record(session: Session, action: str, subject: str, changes: Mapping[str, object] | None = None) -> None:
    """Add the change to the log, as the doing of the session's actor. `changes` are small facts of JSON's types."""
    actor = actor_of(session)
    session.execute(
        insert(AuditEntry).values(
            id=new_id(),
            actor=actor.name,
            key_id=actor.key_id,
            key_name=actor.key_name,
            address=actor.address,
            request_id=actor.request_id,
            operation=actor.operation,
            action=action,
            subject=subject,
            changes={name: _small(value) for name, value in (changes or {}).items()},
        )
    )


def _small(value: object) -> object:
    match value:
        case None | bool() | int() | float():
            return value
        case datetime():
            return value.isoformat()
        case list() | tuple():
            return [_small(part) for part in value]
    text = str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def list_audit(session: Session, limit: int, cursor: str | None, subject: str | None = None) -> Page[AuditRead]:
    """A page of the log, newest first; of one object where that is asked for."""
    before = decode_cursor("audit", cursor, lambda key: UUID(key[0]))
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit + 1)
    query = query.where(AuditEntry.subject == subject) if subject is not None else query
    query = query.where(AuditEntry.id < before) if before is not None else query
    rows = session.scalars(query).all()
    items = [AuditRead.model_validate(row, from_attributes=True) for row in rows[:limit]]
    following = encode_cursor("audit", [str(items[-1].id)]) if len(rows) > limit else None
    return Page(items=items, next_cursor=following)
