"""Runs, as the service shows them."""

from datetime import datetime
from uuid import UUID

from app.client.problems import Answered


class Slice(Answered):
    """Which examples a run measures."""

    kind: str
    size: int | None
    seed: int


class Progress(Answered):
    """How far a run is, in examples."""

    done: int
    total: int | None
    correct: int


class RunningEstimate(Answered):
    """What the examples measured so far say. For watching; the verdict is decided once, at the end."""

    metric: str
    value: float
    interval_95: tuple[float, float]
    method: str


class RunError(Answered):
    """Why a run failed. Never a statement about the claim."""

    type: str
    title: str
    detail: str
    code: str
    retryable: bool


class Reproduction(Answered):
    """A run. `state` is queued, running, succeeded, failed, cancelled or expired; `done` tells whether it has ended.

    `queue_position` is of the single run: a list does not say it. `verdict_status` is what its verdict says of the
    claim; older services leave it out.
    """

    id: UUID
    paper_arxiv_id: str
    paper_version: int
    claim_id: UUID
    driver: str
    agent_version: str
    kind: str
    slice: Slice
    state: str
    done: bool
    stage: str | None
    progress: Progress
    estimate: RunningEstimate | None
    queue_position: int | None = None
    priority: int
    attempt: int
    max_attempts: int
    worker: str | None
    cancel_requested: bool
    requested_at: datetime
    started_at: datetime | None
    heartbeat_at: datetime | None
    finished_at: datetime | None
    deadline_at: datetime
    error: RunError | None
    verdict_id: UUID | None
    verdict_status: str | None = None
