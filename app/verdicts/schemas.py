"""Verdicts on the wire."""

from typing import Annotated, Any, Self
from uuid import UUID

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from app.core.clock import Instant
from app.core.openapi import ShownAs
from app.models import VerdictKind, VerdictOrigin
from app.papers.schemas import NO_NUL, DocumentVerdict, Text
from app.protocol.axes import ProtocolAxes
from app.protocol.driver import DriverSpec, Estimand
from app.protocol.slices import SliceKind
from app.protocol.slugs import SLUG_PATTERN
from app.protocol.status import VerdictStatus
from app.statistics.metrics import MOST_LABELS, MetricName

_AGENT = rf"^v[0-9]+\.[0-9]+\.[0-9]+-{SLUG_PATTERN}$"
LARGEST_SPLIT = 1_000_000
"""The posterior has a term for every possible number of correct items: ten times as many take seconds and gigabytes."""


def _as_stored(value: float) -> float:
    """As float32, which is how logits are kept: what is too small becomes 0, what is too large is refused."""
    with np.errstate(over="ignore", under="ignore"):
        stored = float(np.float32(value))
    if not np.isfinite(stored):
        raise PydanticCustomError("finite_number", "it has to be a finite number within float32's range")
    return stored


def _one_error(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:  # noqa: ANN401  # whatever JSON brought
    """One error for the field, instead of one for each type that it could have been."""
    try:
        return handler(value)
    except ValidationError as error:
        raise PydanticCustomError(
            "scalar_type", "it has to be text of 2,000 characters, a finite number, a boolean or null"
        ) from error


AgentVersion = Annotated[str, StringConstraints(pattern=_AGENT, max_length=120)]
Label = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=NO_NUL)]
Count = Annotated[int, Field(strict=True, ge=0, le=LARGEST_SPLIT)]
Logit = Annotated[float, Field(strict=True), AfterValidator(_as_stored)]
_Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
_Fact = Annotated[str, StringConstraints(max_length=2_000, pattern=NO_NUL)]
Fact = Annotated[_Fact | bool | int | _Finite | None, WrapValidator(_one_error)]
"""What an agent states of its environment, value by value."""


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DecisionRead(BaseModel):
    """The whole decision: shares of 1, intervals as [low, high]."""

    status: VerdictStatus
    direction: str | None = Field(description="`below` or `above`, where the value was not reproduced.")
    score: float = Field(description="The metric on the slice as measured.")
    estimate: float = Field(description="The estimand's estimate.")
    standard_error: float | None
    estimand: Estimand
    interval_90: tuple[float, float] = Field(description="Inside the margin wholly: reproduced.")
    interval_95: tuple[float, float] = Field(description="Outside the margin wholly: not reproduced.")
    interval_method: str
    reported: float = Field(description="The claim's value.")
    margin: float = Field(description="Delta, and half of the claim's last printed digit.")
    p_inside: float = Field(description="The posterior probability that the estimand lies within the margin.")
    ceiling: float = Field(description="What the protocol match leaves of the confidence.")
    confidence: float
    more_examples_needed: int | None = Field(
        description="0 where decided; null where no number of further examples would decide it at this rate."
    )
    rule_version: str
    early_stopping: bool = Field(default=False, description="Whether the run could end before its slice did.")
    metric: MetricName = MetricName.accuracy
    bootstrap_seed: int | None = None
    bootstrap_draws: int | None = None
    delta: float = Field(description="The driver's own margin.")


class VerdictRead(DocumentVerdict):
    """A verdict with everything that the paper document leaves out."""

    paper_arxiv_id: str
    paper_version: int
    claim_id: UUID
    sequence: int = Field(description="Counts the verdicts of this claim and kind, without gaps.")
    supersedes: UUID | None
    superseded_by: UUID | None
    superseded_at: Instant | None
    origin: VerdictOrigin
    reproduction: UUID | None
    protocol_axes: ProtocolAxes | None
    estimate: Annotated[dict[str, Any], ShownAs(DecisionRead)] | None = Field(
        description="The whole decision: estimate, intervals, margin, rule."
    )


class EvidenceRead(BaseModel):
    """What a reader needs to check a verdict, but for the predictions themselves."""

    verdict_id: UUID
    labels: list[str] | None
    confusion: list[list[int]] | None = Field(description="Counts by gold label (rows) and predicted label (columns).")
    decision: Annotated[dict[str, Any], ShownAs(DecisionRead)]
    driver: Annotated[dict[str, Any], ShownAs(DriverSpec)] | None
    facts: dict[str, Any]
    predictions: int = Field(description="How many predictions /v1/verdicts/{id}/predictions holds.")


class ExampleRead(BaseModel):
    """One prediction, labels by name."""

    row: int
    item_id: str
    gold: str
    predicted: str


class PostedStratum(_In):
    """Counts on one stratum: all the items of one label, or all there are."""

    label: Label | None = None
    n: Count
    correct: Count
    total: Count = Field(description="How many items the split has in this stratum.")


class PostedPrediction(_In):
    """One prediction. Labels by name."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=NO_NUL)]
    gold: Label
    predicted: Label
    logits: Annotated[list[Logit], Field(max_length=1000)] | None = None


class PostedEvidence(_In):
    """Counts of right answers, or a confusion matrix or predictions with the split's size per label."""

    counts: Annotated[list[PostedStratum], Field(min_length=1, max_length=1000)] | None = Field(
        default=None, description="Enough for accuracy alone."
    )
    labels: Annotated[list[Label], Field(min_length=2, max_length=1000)] | None = None
    predictions: Annotated[list[PostedPrediction], Field(min_length=1, max_length=200_000)] | None = None
    confusion: Annotated[list[list[Count]], Field(min_length=2, max_length=MOST_LABELS)] | None = Field(
        default=None, description="Counts by gold label (rows) and predicted label (columns), in the order of `labels`."
    )
    split_label_counts: dict[Label, Count] | None = None
    slice_kind: SliceKind = SliceKind.simple
    environment: Annotated[dict[Label, Fact], Field(max_length=200)] = {}

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        given = [one for one in (self.counts, self.predictions, self.confusion) if one is not None]
        if len(given) != 1:
            msg = "give one of `counts`, `predictions` and `confusion`"
            raise ValueError(msg)
        if self.counts is None and (self.labels is None or self.split_label_counts is None):
            msg = "`predictions` and `confusion` need `labels`, in their order, and `split_label_counts`"
            raise ValueError(msg)
        return self


_EXAMPLE: JsonDict = {
    "agent_version": "v1.0.0-my-agent",
    "protocol": {"model": "exact_weights", "data": "probability_slice", "metric": "same", "inference": "unknown"},
    "evidence": {"counts": [{"n": 4998, "correct": 4565, "total": 9815}]},
}


class VerdictPost(_In):
    """Evidence of an outside agent. The status is decided here, from the evidence alone."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    claim: UUID | None = Field(
        default=None, description="Default: the headline claim. Its metric is the one that is decided."
    )
    positive_label: Label | None = Field(
        default=None, description="The label whose F1 is meant, where the claim's metric is `f1`."
    )
    kind: VerdictKind = VerdictKind.POST
    agent_version: AgentVersion
    protocol: ProtocolAxes
    estimand: Estimand = Estimand.finite_population
    evidence: PostedEvidence
    notes: Text | None = None
