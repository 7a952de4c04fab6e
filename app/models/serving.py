"""The processes that serve from memory, and how far each of them has heard of changes."""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Sequence
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base

BARRIER: Final = Sequence("serving_barrier", metadata=Base.metadata)
"""Numbers the questions whether everybody has heard (app.core.settle)."""


class ServingProcess(Base):
    """One process with a lease. Unlogged: after a crash of the server no lease holds anyway."""

    __tablename__ = "serving_processes"
    __table_args__ = {"prefixes": ["UNLOGGED"]}  # noqa: RUF012  # SQLAlchemy's own convention

    id: Mapped[UUID] = mapped_column(primary_key=True)
    heard: Mapped[int] = mapped_column(BigInteger)
    """The newest barrier it has heard of: it knows of whatever was committed before that."""
    lease_until: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    """Until then it may serve what it knows."""
