"""Verdicts and what they rest on, as the service shows them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from app.client.models.papers import DocumentVerdict
from app.client.problems import Answered


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
