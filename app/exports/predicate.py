"""What an attestation states of a verdict, and all that is needed to decide about its claim once more.

Documented for readers in docs/exports.md under the predicate's own type.
"""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from app.core.clock import Instant
from app.models import VerdictKind, VerdictOrigin
from app.papers.schemas import PRINTED
from app.protocol.axes import ProtocolAxes, ProtocolMatch
from app.protocol.driver import Estimand
from app.protocol.slices import SliceKind
from app.protocol.status import VerdictStatus
from app.protocol.units import Unit
from app.statistics.metrics import MetricName
from app.verdicts.schemas import Count

PREDICATE_TYPE: Final = "urn:paper-verdicts:predicate:verdict:v1"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICTIONS: Final = "predictions.jsonl"
EVIDENCE: Final = "evidence.json"
_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AttestedPaper(_Part):
    """The checked version of the paper."""

    arxiv_id: str
    version: int


class AttestedClaim(_Part):
    """The number as the paper prints it; `reported_value` keeps its trailing zeros."""

    id: UUID
    section: str
    row: str
    column: str
    reported_value: Annotated[str, Field(pattern=PRINTED)]
    unit: Unit
    reported_metric: str
    quoted_text: str
    pdf_page: int | None
    n_items: int | None


class AttestedStratum(_Part):
    """Posted counts on one stratum."""

    label: str | None
    n: Count
    correct: Count
    total: Count


class AttestedMeasurement(_Part):
    """The counts: of the predictions as a confusion matrix, or as they were posted."""

    slice_kind: SliceKind
    labels: list[str] | None
    split_label_counts: dict[str, Count] | None = Field(description="How many items of each label the split has.")
    confusion: list[list[Count]] | None = Field(description="By gold label (rows) and predicted label (columns).")
    positive_label: str | None = Field(default=None, description="Of the metric `f1`: the label that it is about.")
    counts: list[AttestedStratum] | None
    n: Count
    correct: Count


class AttestedDecision(BaseModel):
    """The decision with all it rests on; `margin` is delta plus half of the claim's last printed digit."""

    model_config = ConfigDict(frozen=True)  # a later version of the service may say more

    metric: MetricName = MetricName.accuracy
    status: VerdictStatus
    direction: str | None
    score: FiniteFloat
    estimate: FiniteFloat
    standard_error: float | None
    estimand: Estimand
    interval_90: tuple[float, float]
    interval_95: tuple[float, float]
    interval_method: str
    reported: _Share
    margin: float
    delta: float
    p_inside: _Share
    ceiling: float
    confidence: _Share
    rule_version: str
    early_stopping: bool = False
    bootstrap_seed: int | None = None
    bootstrap_draws: int | None = None


class AttestedVerdict(_Part):
    """What was issued. Whether it still stands is not said: that changes, and the service knows it."""

    id: UUID
    url: str | None
    kind: VerdictKind
    sequence: int
    supersedes: UUID | None
    origin: VerdictOrigin
    agent_version: str
    computed_at: Instant
    status: VerdictStatus
    confidence: _Share


class Predicate(_Part):
    """The predicate of an attestation."""

    signed: bool = Field(description="Whether the statement was signed by whoever made it; false is no mistake.")
    verdict: AttestedVerdict
    paper: AttestedPaper
    claim: AttestedClaim
    measurement: AttestedMeasurement
    decision: AttestedDecision
    protocol_match: ProtocolMatch
    protocol_axes: ProtocolAxes | None
    driver: dict[str, Any] | None = Field(description="The specification of the driver that measured.")
    environment: dict[str, Any] = Field(description="What the measurement states of itself: hardware, versions, files.")


class ResourceDigest(BaseModel):
    """A subject of the statement."""

    name: str
    digest: dict[str, str]


class Statement(BaseModel):
    """An in-toto statement, v1."""

    model_config = ConfigDict(populate_by_name=True)

    type: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: Annotated[list[ResourceDigest], Field(min_length=1)]
    predicate_type: str = Field(alias="predicateType")
    predicate: dict[str, Any]
