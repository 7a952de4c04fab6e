"""When the sweep rang the bell again, and for what."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, DateTime
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class Ring(Base):
    """The newest bell for a run that waits. Unlogged: at worst a bell is rung twice.

    A table of its own and no foreign key, because a row that is being written, or referred to, is one that nobody can
    take: the sweep would hold up the front of the queue, and those behind it be served first.
    """

    __tablename__ = "rings"
    __table_args__ = {"prefixes": ["UNLOGGED"]}  # noqa: RUF012  # SQLAlchemy's own convention

    reproduction_id: Mapped[UUID] = mapped_column(primary_key=True)
    fence: Mapped[int] = mapped_column(BigInteger)
    """Of the run when the bell rang: what was taken since, and came back, waits for a bell of its own."""
    rung_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
