"""Verdicts: immutable, versioned conclusions. The database refuses a second current one, an edit and a deletion."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Id, Moment, enum_column

NEWEST = ("computed_at", "id")
"""The order of every list of verdicts."""


class VerdictKind(StrEnum):
    """Whether the paper was checked before or after its publication: two separate lines of verdicts."""

    PRE = "PRE"
    POST = "POST"


class VerdictOrigin(StrEnum):
    """How the verdict came here: by a run of ours, as evidence of an outside agent, or with an imported document."""

    reproduction = "reproduction"
    posted = "posted"
    imported = "imported"


class Verdict(Base):
    """One conclusion about one claim. Its line is (claim, kind); `sequence` counts it without gaps."""

    __tablename__ = "verdicts"
    __table_args__ = (
        ForeignKeyConstraint(["claim_id", "paper_id"], ["claims.id", "claims.paper_id"]),
        ForeignKeyConstraint(["paper_version_id", "paper_id"], ["paper_versions.id", "paper_versions.paper_id"]),
        UniqueConstraint("claim_id", "kind", "sequence"),
        Index("uq_verdicts_current", "claim_id", "kind", unique=True, postgresql_where="is_current"),
        # One index for each filter of the histories and of the feed: a page costs the same, however long they are.
        Index("ix_verdicts_paper", "paper_id", *NEWEST),
        Index("ix_verdicts_paper_kind", "paper_id", "kind", *NEWEST),
        Index("ix_verdicts_paper_status", "paper_id", "status", *NEWEST),
        Index("ix_verdicts_paper_current", "paper_id", *NEWEST, postgresql_where="is_current"),
        Index("ix_verdicts_version", "paper_version_id", "claim_id", "kind", "sequence"),
        Index("ix_verdicts_version_newest", "paper_version_id", *NEWEST),
        Index("ix_verdicts_claim", "claim_id", *NEWEST),
        Index("ix_verdicts_feed", *NEWEST),
        Index("ix_verdicts_kind", "kind", *NEWEST),
        Index("ix_verdicts_status", "status", *NEWEST),
        Index("ix_verdicts_feed_current", *NEWEST, postgresql_where="is_current"),
        CheckConstraint("status IN ('reproduced', 'not_reproduced', 'inconclusive')", name="status"),
        CheckConstraint("score BETWEEN -1 AND 1", name="score"),
        CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence"),
        CheckConstraint("sequence >= 1 AND (sequence = 1) = (supersedes_id IS NULL)", name="sequence"),
        CheckConstraint("is_current = (superseded_by_id IS NULL)", name="superseded"),
        CheckConstraint("is_current = (superseded_at IS NULL)", name="superseded_at"),
        CheckConstraint("protocol_match IN ('exact', 'proxy')", name="protocol_match"),
        CheckConstraint("(origin = 'reproduction') = (reproduction_id IS NOT NULL)", name="reproduction"),
        CheckConstraint("origin = 'imported' OR (evidence_id IS NOT NULL AND decision IS NOT NULL)", name="evidence"),
    )

    id: Mapped[Id]
    paper_id: Mapped[UUID]
    paper_version_id: Mapped[UUID]
    """The checked version."""
    claim_id: Mapped[UUID]
    kind: Mapped[VerdictKind] = mapped_column(enum_column(VerdictKind, "kind"))
    sequence: Mapped[int]
    origin: Mapped[VerdictOrigin] = mapped_column(enum_column(VerdictOrigin, "origin"))
    status: Mapped[str]
    score: Mapped[float]
    """The metric on the slice as measured. Only a correlation coefficient can be negative."""
    confidence: Mapped[float]
    agent_version: Mapped[str]
    computed_at: Mapped[Moment]
    protocol_match: Mapped[str]
    protocol_axes: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    decision: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    """The whole decision: estimate, intervals, estimand, margin, rule version. Unknown for imported verdicts."""
    reproduction_id: Mapped[UUID | None] = mapped_column(ForeignKey("reproductions.id"), unique=True)
    evidence_id: Mapped[UUID | None] = mapped_column(ForeignKey("evidence.id"), unique=True)
    is_current: Mapped[bool]
    supersedes_id: Mapped[UUID | None] = mapped_column(ForeignKey("verdicts.id"), unique=True)
    superseded_by_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("verdicts.id", deferrable=True, initially="DEFERRED"), unique=True
    )
    superseded_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
