"""Webhooks: who is told of events by a request of ours, what was to be told, and each attempt to do so."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Index, SmallInteger, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt, Id, Moment, enum_column


class DeliveryState(StrEnum):
    """Where a delivery is. One that is delivered or failed can be asked for again."""

    pending = "pending"
    delivered = "delivered"
    failed = "failed"


class Webhook(Base):
    """One receiver: where, of what, by which secret; and the lease of the process that is at it."""

    __tablename__ = "webhooks"
    __table_args__ = (
        Index("ix_webhooks_owner", "owner_id", "id"),
        CheckConstraint(
            "cardinality(events) > 0 AND events <@ "
            "ARRAY['verdict.issued', 'verdict.superseded', 'reproduction.finished']",
            name="events",
        ),
        CheckConstraint("(previous_secret IS NULL) = (previous_until IS NULL)", name="previous"),
        CheckConstraint("(disabled_at IS NULL) = (disabled_reason IS NULL)", name="disabled"),
    )

    id: Mapped[Id]
    owner_id: Mapped[UUID | None] = mapped_column(ForeignKey("api_keys.id"))
    """The key that registered it; null for the command line."""
    url: Mapped[str]
    events: Mapped[list[str]] = mapped_column(ARRAY(Text))
    description: Mapped[str | None]
    secret: Mapped[str]
    """Signing takes the secret itself, so it cannot be kept as a hash."""
    previous_secret: Mapped[str | None]
    previous_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Until then messages are signed with both."""
    position: Mapped[int] = mapped_column(BigInteger)
    """Events of the log up to here have become deliveries."""
    failing_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    disabled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    disabled_reason: Mapped[str | None]
    fence: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """Grows with each lease: what is written with an older one is refused."""
    lease_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[CreatedAt]


class WebhookDelivery(Base):
    """One event for one receiver."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        UniqueConstraint("webhook_id", "position"),
        Index("ix_webhook_deliveries_due", "webhook_id", "next_attempt_at", postgresql_where="state = 'pending'"),
        Index("ix_webhook_deliveries_created_at", "created_at"),
        CheckConstraint("(state = 'pending') = (next_attempt_at IS NOT NULL)", name="due"),
    )

    id: Mapped[Id]
    webhook_id: Mapped[UUID] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    position: Mapped[int] = mapped_column(BigInteger)
    """The event's, in the log."""
    type: Mapped[str]
    state: Mapped[DeliveryState] = mapped_column(enum_column(DeliveryState, "state"))
    tries: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    """Of the present round; asking for it again begins another."""
    next_attempt_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[CreatedAt]


class WebhookAttempt(Base):
    """One request that was made, and what came of it."""

    __tablename__ = "webhook_attempts"
    __table_args__ = (Index("ix_webhook_attempts_delivery", "delivery_id", "id"),)

    id: Mapped[Id]
    delivery_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_deliveries.id", ondelete="CASCADE"))
    at: Mapped[Moment]
    milliseconds: Mapped[int]
    status: Mapped[int | None]
    """What the receiver answered with, if it did."""
    error: Mapped[str | None]
    """Why the attempt counts as failed, in a word."""
