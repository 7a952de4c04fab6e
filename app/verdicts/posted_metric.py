"""The metric that posted evidence is to be decided for: the claim's own, where the evidence can tell it."""

from typing import Final

from app.models import Claim
from app.protocol.slices import SliceKind
from app.statistics.metrics import MOST_LABELS, MetricName
from app.verdicts.decide_metric import MetricMeasurement
from app.verdicts.errors import EvidenceError, MetricError
from app.verdicts.evidence import Confusion
from app.verdicts.schemas import VerdictPost

SEED: Final = 0
"""Of the bootstrap. An agent that chose it could choose among verdicts."""


def refuse_unknown_metric(claim: Claim) -> None:
    """Raise MetricError where nothing here measures the claim's metric."""
    if claim.reported_metric not in set(MetricName):
        detail = f"The claim is about {claim.reported_metric}; what is measured here is {', '.join(MetricName)}."
        raise MetricError(detail)


def measured_metric(claim: Claim, post: VerdictPost, confusion: Confusion | None) -> MetricMeasurement | None:
    """What was measured of a metric without a closed form; None for accuracy. Raises EvidenceError."""
    metric = MetricName(claim.reported_metric)
    if (metric is MetricName.f1) != (post.positive_label is not None):
        detail = f"positive_label is needed for the metric f1, and for no other; the claim is about {metric}."
        raise EvidenceError(detail, field="body.positive_label")
    if metric is MetricName.accuracy:
        return None
    if confusion is None:
        detail = f"Counts of right answers do not tell {metric}: post `predictions`, or a `confusion` matrix."
        raise EvidenceError(detail, field="body.evidence.counts")
    if post.evidence.slice_kind == SliceKind.balanced:
        detail = f"A balanced slice changes the mix of labels, on which {metric} depends: measure a simple one."
        raise EvidenceError(detail, field="body.evidence.slice_kind")
    if len(confusion.labels) > MOST_LABELS:
        detail = f"{metric} is decided with {MOST_LABELS} labels at most, not {len(confusion.labels)}."
        raise EvidenceError(detail, field="body.evidence.labels")
    if post.positive_label is not None and post.positive_label not in confusion.labels:
        detail = f"positive_label has to be one of labels, and {post.positive_label!r} is not."
        raise EvidenceError(detail, field="body.positive_label")
    positive = None if post.positive_label is None else confusion.labels.index(post.positive_label)
    population = sum((post.evidence.split_label_counts or {}).values())
    return MetricMeasurement(metric, confusion.matrix, population, positive)
