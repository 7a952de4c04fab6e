"""The workers that are there, with or without a run."""

from datetime import datetime

from sqlalchemy import DateTime
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class WorkerProcess(Base):
    """One worker's last sign of life. Unlogged: after a crash of the server each says again that it is there."""

    __tablename__ = "worker_processes"
    __table_args__ = {"prefixes": ["UNLOGGED"]}  # noqa: RUF012  # SQLAlchemy's own convention

    name: Mapped[str] = mapped_column(primary_key=True)
    host: Mapped[str]
    device: Mapped[str]
    started_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    alive_until: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    """Who has said nothing by then is silent."""
