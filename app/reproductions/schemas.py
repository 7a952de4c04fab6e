"""Reproductions on the wire."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from app.core.clock import Instant
from app.models import ReproductionState, VerdictKind
from app.protocol.driver import Slug
from app.protocol.slices import SliceSpec
from app.protocol.status import VerdictStatus
from app.statistics.metrics import MetricName


class ReproductionPost(BaseModel):
    """What to re-measure. An empty object asks for the headline claim with its driver."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"driver": "minilm-mnli-full", "kind": "PRE", "slice_size": 2000}]},
    )

    claim: UUID | None = Field(default=None, description="Default: the driver's claim, else the headline claim.")
    driver: Slug | None = Field(default=None, description="Default: the only driver of the claim.")
    kind: VerdictKind = VerdictKind.POST
    slice_size: Annotated[int, Field(strict=True, ge=1, le=10_000_000)] | None = Field(
        default=None,
        description="Measure another number of examples than the driver says; a driver of the full split then measures "
        "a simple random slice, which the verdict says.",
    )
    priority: Annotated[int, Field(strict=True, ge=0, le=9)] = Field(default=5, description="0 is served first.")
    force: StrictBool = Field(default=False, description="Start a run of its own even while the same one is in flight.")


class Progress(BaseModel):
    """How far the run is, in examples."""

    done: int
    total: int | None
    correct: int


class RunningEstimate(BaseModel):
    """What the examples measured so far say. For watching; the verdict is decided once, at the end."""

    metric: MetricName = Field(description="The driver's.")
    value: float
    interval_95: tuple[float, float]
    method: str = Field(description="Of the interval: for watching, of new items like those measured so far.")


class CoursePoint(BaseModel):
    """Where a run was at a moment, and what the examples up to there say."""

    at: Instant
    done: int = Field(description="Examples measured by then.")
    correct: int
    value: float = Field(description="The metric of these examples, as a fraction.")
    interval_95: tuple[float, float] = Field(description="As of the running estimate, which this was then.")


class CourseRead(BaseModel):
    """How a run went, from its first examples on; not before the first heartbeat that brings any."""

    reproduction_id: UUID
    metric: MetricName = Field(description="The driver's; every point's value is of it.")
    total: int | None = Field(description="Examples that the run measures in all; null while that is not known.")
    points: list[CoursePoint] = Field(description="At most 240, spread evenly over the examples, in their order.")


class RunError(BaseModel):
    """Why a run failed: a problem with a stable code. Never a statement about the claim."""

    type: str
    title: str
    detail: str
    code: str
    retryable: bool


class ReproductionSummary(BaseModel):
    """A run in a list: without its place in the queue, which takes a look at all that wait before it."""

    id: UUID
    paper_arxiv_id: str
    paper_version: int
    claim_id: UUID
    driver: str
    agent_version: str
    kind: VerdictKind
    slice: SliceSpec
    state: ReproductionState
    done: bool
    stage: str | None
    progress: Progress
    estimate: RunningEstimate | None
    priority: int
    attempt: int
    max_attempts: int
    worker: str | None
    cancel_requested: bool
    requested_at: Instant
    started_at: Instant | None
    heartbeat_at: Instant | None
    finished_at: Instant | None
    deadline_at: Instant
    error: RunError | None
    verdict_id: UUID | None
    verdict_status: VerdictStatus | None = Field(description="What its verdict says of the claim; null without one.")


class ReproductionRead(ReproductionSummary):
    """A run."""

    queue_position: int | None = Field(
        description="Its place in the order of the queue: by priority, then in turn between those who ask, then by "
        "age. 1 is next; null once a worker has it. What others ask for later can still come before it, where "
        "theirs is the turn."
    )
