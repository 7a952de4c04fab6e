"""Drivers: recipes that re-measure claims, as they were last loaded from the catalogue."""

from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt, Id, Json, Moment


class Driver(Base):
    """The present specification of a driver. Runs keep a copy of the one they were asked with."""

    __tablename__ = "drivers"

    id: Mapped[Id]
    slug: Mapped[str] = mapped_column(unique=True)
    claim_id: Mapped[UUID] = mapped_column(ForeignKey("claims.id"), index=True)
    agent_version: Mapped[str]
    spec: Mapped[Json]
    spec_digest: Mapped[str]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[Moment]
