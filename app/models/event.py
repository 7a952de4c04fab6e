"""The log of events: what happened to runs and verdicts, in the order in which it was committed."""

from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, Sequence
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Moment, enum_column
from app.models.verdict import VerdictKind

POSITIONS: Final = Sequence("event_positions", metadata=Base.metadata)
"""Drawn by the triggers that write the log, under a lock that is held until the commit."""


class Event(Base):
    """One event, written by triggers when the transaction that it tells of commits (migration 0006).

    No foreign keys: their checks would wait for rows that somebody holds, while the lock of the log is held. What an
    event refers to is never deleted.
    """

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_paper", "paper_id", "position"),
        Index("ix_events_run", "reproduction_id", "position"),
        Index("ix_events_at", "at"),
        CheckConstraint(
            "type IN ('reproduction.queued', 'reproduction.running', 'reproduction.finished', 'verdict.issued', "
            "'verdict.superseded')",
            name="type",
        ),
        CheckConstraint("num_nonnulls(reproduction_id, verdict_id) = 1", name="subject"),
        CheckConstraint(
            "(snapshot IS NOT NULL) = (type IN ('reproduction.queued', 'reproduction.running'))", name="snapshot"
        ),
    )

    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Grows in the order of the commits: whoever sees one sees all that are smaller."""
    type: Mapped[str]
    at: Mapped[Moment]
    paper_id: Mapped[UUID]
    kind: Mapped[VerdictKind] = mapped_column(enum_column(VerdictKind, "kind"))
    reproduction_id: Mapped[UUID | None]
    verdict_id: Mapped[UUID | None]
    snapshot: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    """The run's row as it was, but for its specification, while it can still change."""
