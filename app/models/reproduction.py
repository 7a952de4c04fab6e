"""Reproductions: the queue itself. The row is the truth; messages only hint at it."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, ForeignKeyConstraint, Index, SmallInteger
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Id, Json, Moment, enum_column
from app.models.verdict import VerdictKind


class ReproductionState(StrEnum):
    """Where a run is. The last four are terminal and never change."""

    queued = "queued"
    running = "running"
    succeeded = "succeeded"
    failed = "failed"
    cancelled = "cancelled"
    expired = "expired"

    @property
    def done(self) -> bool:
        """Whether the run has ended."""
        return self not in {ReproductionState.queued, ReproductionState.running}


class Reproduction(Base):
    """One run of a driver for a claim."""

    __tablename__ = "reproductions"
    __table_args__ = (
        ForeignKeyConstraint(["claim_id", "paper_id"], ["claims.id", "claims.paper_id"]),
        ForeignKeyConstraint(["paper_version_id", "paper_id"], ["paper_versions.id", "paper_versions.paper_id"]),
        Index(
            "uq_reproductions_in_flight",
            "claim_id",
            "kind",
            "driver_id",
            "config_digest",
            unique=True,
            postgresql_where="state IN ('queued', 'running') AND NOT forced AND cancel_requested_at IS NULL",
        ),
        Index("ix_reproductions_queue", "priority", "turn", "id", postgresql_where="state = 'queued'"),
        Index("ix_reproductions_served", "priority", "turn", postgresql_where="started_at IS NOT NULL"),
        Index(
            "ix_reproductions_turns",
            "requested_by",
            "priority",
            "turn",
            postgresql_where="state = 'queued' OR started_at IS NOT NULL",
        ),
        Index("ix_reproductions_quota", "requested_by", postgresql_where="state IN ('queued', 'running')"),
        Index("ix_reproductions_lease", "lease_until", postgresql_where="state = 'running'"),
        Index("ix_reproductions_paper", "paper_id", "id"),
        Index("ix_reproductions_paper_state", "paper_id", "state", "id"),
        Index("ix_reproductions_version", "paper_version_id", "id"),
        Index("ix_reproductions_state", "state", "id"),
        Index("ix_reproductions_kind", "kind", "id"),
        CheckConstraint("priority BETWEEN 0 AND 9", name="priority"),
        CheckConstraint("attempt BETWEEN 0 AND max_attempts AND fence >= attempt", name="attempt"),
        CheckConstraint("(state = 'running') = (lease_until IS NOT NULL)", name="lease"),
        CheckConstraint("(state NOT IN ('queued', 'running')) = (finished_at IS NOT NULL)", name="finished"),
        CheckConstraint("state <> 'failed' OR error IS NOT NULL", name="failed_says_why"),
        CheckConstraint(
            "progress_correct BETWEEN 0 AND progress_done"
            " AND (progress_total IS NULL OR progress_done <= progress_total)",
            name="progress",
        ),
    )

    id: Mapped[Id]
    paper_id: Mapped[UUID]
    paper_version_id: Mapped[UUID]
    """The checked version."""
    claim_id: Mapped[UUID]
    driver_id: Mapped[UUID] = mapped_column(ForeignKey("drivers.id"))
    kind: Mapped[VerdictKind] = mapped_column(enum_column(VerdictKind, "kind"))
    state: Mapped[ReproductionState] = mapped_column(enum_column(ReproductionState, "state"))
    stage: Mapped[str | None]
    spec: Mapped[Json]
    """The driver's specification as this run uses it, frozen when it was asked for."""
    config_digest: Mapped[str]
    forced: Mapped[bool] = mapped_column(default=False)
    priority: Mapped[int] = mapped_column(SmallInteger, default=5)
    """0 is served first."""
    traceparent: Mapped[str | None]
    """Of the request that asked for it, where requests are traced: the run carries on that trace."""
    turn: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """Among runs of one priority the lowest turn is served first; each run of a requester has a higher one."""
    requested_by: Mapped[UUID | None] = mapped_column(ForeignKey("api_keys.id"))
    """The key that asked for it; null for the command line."""
    requested_at: Mapped[Moment]
    request_id: Mapped[str | None]
    """Of the request that asked for it, so that the lines of API and workers about the run can be brought together."""
    deadline_at: Mapped[Moment]
    """A run that has not started by then expires."""
    not_before: Mapped[Moment]
    """Back-off: no worker takes the run earlier."""
    rung_at: Mapped[Moment]
    attempt: Mapped[int] = mapped_column(SmallInteger, default=0)
    max_attempts: Mapped[int] = mapped_column(SmallInteger)
    fence: Mapped[int] = mapped_column(BigInteger, default=0)
    """Grows with each claim; a write with an older fence is refused."""
    worker: Mapped[str | None]
    lease_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    heartbeat_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    cancel_requested_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    progress_done: Mapped[int] = mapped_column(default=0)
    progress_total: Mapped[int | None]
    progress_taken: Mapped[int] = mapped_column(server_default="0")
    """What was done when the present attempt began: one that was lost after more than that does not count."""
    progress_correct: Mapped[int] = mapped_column(default=0)
    progress_estimate: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """The running estimate of a metric that the counts alone do not give, as the worker last reported it."""
    progress_counts: Mapped[dict[str, int] | None] = mapped_column(JSONB(none_as_null=True))
    """What inference did for the predictions that are stored, over all attempts."""
    evidence_id: Mapped[UUID] = mapped_column(
        ForeignKey("evidence.id", deferrable=True, initially="DEFERRED"), unique=True
    )
    error: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
