"""Evidence posted by a trusted outside agent: checked, decided here, and issued."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app.claims.queries import find_claim_of
from app.models import Claim, Evidence, Paper, PaperVersion, Verdict, VerdictOrigin
from app.models.base import new_id
from app.protocol.axes import DataAxis
from app.protocol.driver import default_margin
from app.protocol.slices import SliceKind
from app.reproductions.store import store_predictions
from app.statistics.label_map import LabelMapSuspectError
from app.verdicts.decide import (
    ImpossibleCountsError,
    Measurement,
    ReportedValue,
    Stratum,
    decide,
    refuse_suspect_labels,
)
from app.verdicts.decide_metric import decide_metric
from app.verdicts.errors import EvidenceError, LabelMapError
from app.verdicts.evidence import Confusion, decision_document, measurement_of
from app.verdicts.issue import NewVerdict, issue
from app.verdicts.posted_metric import SEED, measured_metric, refuse_unknown_metric
from app.verdicts.schemas import LARGEST_SPLIT, PostedEvidence, PostedPrediction, VerdictPost


def post_verdict(session: Session, paper: Paper, version: PaperVersion, post: VerdictPost) -> Verdict:
    """Decide about the claim from posted evidence, with the default margin of its protocol, and issue the verdict.

    The agent states what it measured and never the status. The paper has to be locked.
    Raises EvidenceError, LabelMapError, MetricError, ClaimNotFoundError; nothing is written then.
    """
    claim = find_claim_of(session, paper, post.claim)
    refuse_unknown_metric(claim)
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
    """The confusion matrix that was posted, or that predictions give; None for counts.

    Raises EvidenceError, LabelMapError.
    """
    if evidence.counts is not None or evidence.labels is None:
        return None
    position = {label: i for i, label in enumerate(evidence.labels)}
    split = evidence.split_label_counts or {}
    if len(position) != len(evidence.labels) or set(split) != set(position):
        detail = "labels have to be distinct, and split_label_counts has to count each of them."
        raise EvidenceError(detail, field="body.evidence.labels")
    confusion = _as_posted(evidence) if evidence.predictions is None else _counted(evidence.predictions, position)
    for label, n in zip(evidence.labels, confusion.matrix.sum(axis=1).tolist(), strict=True):
        if n > split[label]:
            detail = f"{n} items are of label {label!r}, and split_label_counts has {split[label]} of them."
            raise EvidenceError(detail, field="body.evidence.split_label_counts")
    try:
        refuse_suspect_labels(confusion.matrix)
    except LabelMapSuspectError as error:
        raise LabelMapError(str(error)) from error
    except ImpossibleCountsError as error:
        detail = f"{error}."
        raise EvidenceError(detail, field="body.evidence.confusion") from error
    return confusion


def _as_posted(evidence: PostedEvidence) -> Confusion:
    labels, rows = tuple(evidence.labels or ()), evidence.confusion or []
    if len(rows) != len(labels) or any(len(row) != len(labels) for row in rows):
        detail = f"The confusion matrix needs a row and a column for each of the {len(labels)} labels."
        raise EvidenceError(detail, field="body.evidence.confusion")
    return Confusion.of(labels, [(i, j, n) for i, row in enumerate(rows) for j, n in enumerate(row)])


def _counted(predictions: Sequence[PostedPrediction], position: Mapping[str, int]) -> Confusion:
    seen: set[str] = set()
    for number, prediction in enumerate(predictions):
        _refuse_bad(number, prediction, position, seen)
    return Confusion.of(tuple(position), [(position[one.gold], position[one.predicted], 1) for one in predictions])


def _refuse_bad(number: int, prediction: PostedPrediction, position: Mapping[str, int], seen: set[str]) -> None:
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
    measured = measured_metric(claim, post, confusion)
    reported = ReportedValue.from_printed(claim.reported_value, claim.unit)
    try:
        measurement = _measurement(post.evidence, confusion)
        _refuse_too_large(measurement)
        _refuse_part_as_whole(post, measurement)
        match = post.protocol.match
        if measured is None:
            decision = decide(reported, measurement, estimand=post.estimand, margin=margin, match=match)
        else:
            decision = decide_metric(reported, measured, estimand=post.estimand, margin=margin, match=match, seed=SEED)
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
        return measurement_of(confusion, evidence.split_label_counts or {}, evidence.slice_kind)
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
            **({"positive_label": post.positive_label} if post.positive_label is not None else {}),
            "environment": evidence.environment,
        },
    }
    row = Evidence(id=new_id(), content=content)
    session.add(row)
    session.flush()
    if evidence.predictions and evidence.labels:
        position = {label: i for i, label in enumerate(evidence.labels)}
        predictions = [
            {
                "row": number,
                "item_id": one.id,
                "gold": position[one.gold],
                "predicted": position[one.predicted],
                "logits": one.logits,
            }
            for number, one in enumerate(evidence.predictions)
        ]
        store_predictions(session, row.id, predictions)
    return row.id
