"""Evidence posted by a trusted outside agent: checked, decided here, and issued."""

from collections import Counter
from typing import Any
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.orm import Session

from app.claims.queries import find_claim_of
from app.models import Claim, Evidence, Paper, PaperVersion, Prediction, Verdict, VerdictOrigin
from app.models.base import new_id
from app.protocol.axes import DataAxis
from app.protocol.driver import default_margin
from app.protocol.slices import SliceKind
from app.statistics.label_map import LabelMapSuspectError
from app.statistics.metrics import MetricName
from app.verdicts.decide import Measurement, ReportedValue, Stratum, decide, refuse_suspect_labels
from app.verdicts.errors import EvidenceError, LabelMapError, MetricError
from app.verdicts.evidence import Confusion, decision_document, measurement_of
from app.verdicts.issue import NewVerdict, issue
from app.verdicts.schemas import LARGEST_SPLIT, PostedEvidence, PostedPrediction, VerdictPost


def post_verdict(session: Session, paper: Paper, version: PaperVersion, post: VerdictPost) -> Verdict:
    """Decide about the claim from posted evidence, with the default margin of its protocol, and issue the verdict.

    The agent states what it measured and never the status. The paper has to be locked.
    Raises EvidenceError, LabelMapError, MetricError, ClaimNotFoundError; nothing is written then.
    """
    claim = find_claim_of(session, paper, post.claim)
    if claim.reported_metric != MetricName.accuracy:
        detail = (
            f"The claim is about {claim.reported_metric}; from posted evidence only {MetricName.accuracy} is decided."
        )
        raise MetricError(detail)
    confusion = _confusion(post.evidence)
    margin = default_margin(post.protocol.model)
    document = _decide(claim, post, confusion, margin)
    evidence_id = _store(session, post, confusion, document)
    new = NewVerdict(
        paper_version_id=version.id,
        claim_id=claim.id,
        kind=post.kind,
        origin=VerdictOrigin.posted,
        status=document["status"],
        score=document["score"],
        confidence=document["confidence"],
        agent_version=post.agent_version,
        protocol_match=post.protocol.match,
        protocol_axes=post.protocol.model_dump(mode="json"),
        decision=document,
        evidence_id=evidence_id,
    )
    return issue(session, paper, new)


def _confusion(evidence: PostedEvidence) -> Confusion | None:
    """The confusion matrix of posted predictions; None for counts. Raises EvidenceError, LabelMapError."""
    if evidence.predictions is None or evidence.labels is None:
        return None
    position = {label: i for i, label in enumerate(evidence.labels)}
    split = evidence.split_label_counts or {}
    if len(position) != len(evidence.labels) or set(split) != set(position):
        detail = "labels have to be distinct, and split_label_counts has to count each of them."
        raise EvidenceError(detail, field="body.evidence.labels")
    seen: set[str] = set()
    for number, prediction in enumerate(evidence.predictions):
        _refuse_bad(number, prediction, position, seen)
    for label, n in Counter(one.gold for one in evidence.predictions).items():
        if n > split[label]:
            detail = f"{n} items are of label {label!r}, and split_label_counts has {split[label]} of them."
            raise EvidenceError(detail, field="body.evidence.split_label_counts")
    pairs = [(position[one.gold], position[one.predicted], 1) for one in evidence.predictions]
    confusion = Confusion.of(tuple(evidence.labels), pairs)
    try:
        refuse_suspect_labels(confusion.matrix)
    except LabelMapSuspectError as error:
        raise LabelMapError(str(error)) from error
    return confusion


def _refuse_bad(number: int, prediction: PostedPrediction, position: dict[str, int], seen: set[str]) -> None:
    problem = None
    if prediction.id in seen:
        problem = "occurs twice"
    elif prediction.gold not in position or prediction.predicted not in position:
        problem = "has a label that is not one of `labels`"
    elif prediction.logits is not None:
        best = max(prediction.logits, default=None)
        if len(prediction.logits) != len(position) or prediction.logits[position[prediction.predicted]] != best:
            problem = "has logits whose largest is not the predicted label's, or of another number than the labels"
    if problem:
        detail = f"Item {prediction.id!r} {problem}."
        raise EvidenceError(detail, field=f"body.evidence.predictions.{number}")
    seen.add(prediction.id)


def _decide(claim: Claim, post: VerdictPost, confusion: Confusion | None, margin: float) -> dict[str, Any]:
    try:
        measurement = _measurement(post.evidence, confusion)
        _refuse_too_large(measurement)
        _refuse_part_as_whole(post, measurement)
        decision = decide(
            ReportedValue.from_printed(claim.reported_value, claim.unit),
            measurement,
            estimand=post.estimand,
            margin=margin,
            match=post.protocol.match,
        )
    except ValueError as error:  # ImpossibleCountsError, EstimandError: they say which number cannot be
        detail = f"{error}."
        raise EvidenceError(detail) from error
    return decision_document(decision, margin=margin)


def _refuse_too_large(measurement: Measurement) -> None:
    if measurement.population is not None and measurement.population > LARGEST_SPLIT:
        detail = (
            f"The split would have {measurement.population} items; {LARGEST_SPLIT} are the most that can be judged."
        )
        raise EvidenceError(detail)


def _refuse_part_as_whole(post: VerdictPost, measurement: Measurement) -> None:
    """Raise where a slice is said to be the full split: that would pass a proxy for an exact protocol."""
    said = post.protocol.data is DataAxis.full_split or post.evidence.slice_kind == SliceKind.full
    if said and measurement.n != measurement.population:
        detail = f"{measurement.n} of {measurement.population} items are not the full split: say what slice they are."
        raise EvidenceError(detail)


def _measurement(evidence: PostedEvidence, confusion: Confusion | None) -> Measurement:
    if confusion is not None:
        return measurement_of(confusion, evidence.split_label_counts or {}, SliceKind(evidence.slice_kind))
    counts = evidence.counts or []
    labels = [one.label for one in counts]
    if len(counts) > 1 and (None in labels or len(set(labels)) < len(labels)):
        detail = "Several strata need a label each, and no label twice."
        raise EvidenceError(detail, field="body.evidence.counts")
    return Measurement(strata=tuple(Stratum(n=one.n, correct=one.correct, total=one.total) for one in counts))


def _store(session: Session, post: VerdictPost, confusion: Confusion | None, document: dict[str, Any]) -> UUID:
    evidence = post.evidence
    content = {
        "labels": evidence.labels,
        "confusion": confusion.matrix.tolist() if confusion else None,
        "decision": document,
        "driver": None,
        "facts": {
            "posted_by": post.agent_version,
            "notes": post.notes,
            "counts": [one.model_dump() for one in evidence.counts] if evidence.counts else None,
            "split_label_counts": evidence.split_label_counts,
            "slice_kind": evidence.slice_kind,
            "environment": evidence.environment,
        },
    }
    row = Evidence(id=new_id(), content=content)
    session.add(row)
    session.flush()
    if evidence.predictions and evidence.labels:
        position = {label: i for i, label in enumerate(evidence.labels)}
        session.execute(
            insert(Prediction),
            [
                {
                    "evidence_id": row.id,
                    "row": number,
                    "item_id": one.id,
                    "gold": position[one.gold],
                    "predicted": position[one.predicted],
                    "logits": one.logits,
                }
                for number, one in enumerate(evidence.predictions)
            ],
        )
    return row.id
