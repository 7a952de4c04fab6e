"""What the service answers, as typed objects. Fields that this version does not know are kept, and are no error."""

from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from app.client.problems import Answered, Problem

Item = TypeVar("Item")


class Page(Answered, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next_cursor: str | None


class Paper(Answered):
    """A paper's metadata."""

    arxiv_id: str
    title: str
    abstract: str
    primary_category: str | None
    venue: str | None
    published_at: datetime | None
    latest_version: int
    withdrawn: bool


class PaperVersion(Answered):
    """One version of a paper."""

    id: UUID
    version: int
    source_url: str | None
    rendered_html_url: str | None
    rendering_engine: str | None


class ClaimCitation(Answered):
    """The claim as a verdict cites it."""

    paper_arxiv_id: str
    section: str
    row: str
    column: str
    reported_value: float
    reported_metric: str
    quoted_text: str
    pdf_page: int | None
    notes: str | None


class DocumentVerdict(Answered):
    """A verdict as the paper document shows it. `status` is reproduced, not_reproduced or inconclusive."""

    id: UUID
    kind: str
    status: str
    score: float
    confidence: float
    agent_version: str
    computed_at: datetime
    is_current: bool
    claim_citation: ClaimCitation
    protocol_match: str


class DocumentVerdicts(Answered):
    """The headline claim's verdict of each kind."""

    post: DocumentVerdict | None
    pre: DocumentVerdict | None


class PaperDocument(Answered):
    """A paper with its verdicts as they stand."""

    paper: Paper
    latest_version: PaperVersion
    verdict: DocumentVerdict | None
    verdicts: DocumentVerdicts


class PaperSummary(Answered):
    """A paper in a list."""

    arxiv_id: str
    title: str
    primary_category: str | None
    venue: str | None
    published_at: datetime | None
    withdrawn: bool
    status: str | None
    newest_verdict_at: datetime | None


class ProtocolAxes(Answered):
    """In which ways the measurement differs from the paper's own."""

    model: str
    data: str
    metric: str
    inference: str


class Decision(Answered):
    """The conclusion and all it rests on. Shares of 1; intervals are (low, high)."""

    status: str
    direction: str | None
    score: float
    estimate: float
    standard_error: float | None
    estimand: str
    interval_90: tuple[float, float]
    interval_95: tuple[float, float]
    interval_method: str
    reported: float
    margin: float
    p_inside: float
    ceiling: float
    confidence: float
    more_examples_needed: int | None
    rule_version: str
    delta: float


class Verdict(DocumentVerdict):
    """A verdict with everything that the paper document leaves out."""

    paper_arxiv_id: str
    paper_version: int
    claim_id: UUID
    sequence: int
    supersedes: UUID | None
    superseded_by: UUID | None
    superseded_at: datetime | None
    origin: str
    reproduction: UUID | None
    protocol_axes: ProtocolAxes | None
    estimate: Decision | None


class Evidence(Answered):
    """What a reader needs to check a verdict, but for the predictions."""

    verdict_id: UUID
    labels: list[str] | None
    confusion: list[list[int]] | None
    decision: Decision
    driver: dict[str, Any] | None
    facts: dict[str, Any]
    predictions: int


class Prediction(Answered):
    """One prediction. Labels by name."""

    row: int
    id: str
    gold: str
    predicted: str
    correct: bool
    logits: list[float] | None


class Claim(Answered):
    """A number that a paper reports."""

    id: UUID
    paper_arxiv_id: str
    paper_version: int
    section: str
    row: str
    column: str
    reported_value: float
    decimals: int
    unit: str
    reported_metric: str
    quoted_text: str
    pdf_page: int | None
    notes: str | None
    n_items: int | None
    is_headline: bool
    drivers: list[str]
    created_at: datetime


class Driver(Answered):
    """A driver and its whole specification."""

    slug: str
    agent_version: str
    paper_arxiv_id: str
    claim_id: UUID
    description: str
    protocol_match: str
    spec: dict[str, Any]
    spec_digest: str
    updated_at: datetime


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
    """A run. `state` is queued, running, succeeded, failed, cancelled or expired; `done` tells whether it has ended."""

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
    queue_position: int | None
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


class BatchItem(Answered):
    """One of the papers that were asked for at once: its document, or why there is none."""

    id: str
    etag: str | None
    document: PaperDocument | None
    problem: Problem | None


class Batch(Answered):
    """Papers in the order asked for."""

    items: list[BatchItem]


class AuditEntry(Answered):
    """One change: who, how, what, to what."""

    id: UUID
    at: datetime
    actor: str
    key_id: UUID | None
    key_name: str | None
    address: str | None
    request_id: str | None
    operation: str
    action: str
    subject: str
    changes: dict[str, Any]
