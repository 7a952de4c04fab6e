"""API keys, and the audit log of what was done with them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, LargeBinary, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt, Id


class ApiKey(Base):
    """A key: what it may do, and the SHA-256 of its secret. The secret itself is stored nowhere."""

    __tablename__ = "api_keys"
    __table_args__ = (
        CheckConstraint("octet_length(secret_hash) = 32", name="secret_hash"),
        CheckConstraint(
            "cardinality(scopes) > 0 AND scopes <@ ARRAY['read', 'reproduce', 'curate', 'post-verdicts', 'admin']",
            name="scopes",
        ),
    )

    id: Mapped[Id]
    prefix: Mapped[str] = mapped_column(unique=True)
    """The part before the dot: names the key in lists and logs."""
    name: Mapped[str]
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[CreatedAt]
    last_used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class AuditEntry(Base):
    """One change: who made it, how, and what it was. Written with the change itself, and never changed."""

    __tablename__ = "audit_log"
    __table_args__ = (Index("ix_audit_log_subject", "subject", "id"),)

    id: Mapped[Id]
    at: Mapped[CreatedAt]
    actor: Mapped[str]
    """`key:<prefix>`, `cli:<user>`, `worker:<name>`."""
    key_id: Mapped[UUID | None] = mapped_column(ForeignKey("api_keys.id"))
    key_name: Mapped[str | None]
    address: Mapped[str | None]
    request_id: Mapped[str | None]
    operation: Mapped[str]
    """The operation of the API, the command, or the task."""
    action: Mapped[str]
    """What was done, e.g. `paper.changed`."""
    subject: Mapped[str]
    """What it was done to, e.g. `papers/2111.09543`."""
    changes: Mapped[dict[str, object]] = mapped_column(JSONB)
