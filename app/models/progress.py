"""How a run went: its progress at some moments, so that whoever looks late sees the estimate narrow, too."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Moment


class ProgressPoint(Base):
    """A run's progress at one moment. There is a bounded number of them, evenly spread over the examples."""

    __tablename__ = "progress_points"
    __table_args__ = (CheckConstraint("done > 0 AND correct BETWEEN 0 AND done", name="counts"),)

    reproduction_id: Mapped[UUID] = mapped_column(ForeignKey("reproductions.id"), primary_key=True)
    done: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    correct: Mapped[int]
    estimate: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """Of a metric that the counts alone do not give, as the worker reported it."""
    at: Mapped[Moment]
