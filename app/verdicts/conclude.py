"""Conclude a run: decide from the stored predictions and issue the verdict, all in the run's own transaction."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.models import Claim, Evidence, Prediction, Reproduction, Verdict, VerdictOrigin
from app.papers.find import lock_paper
from app.protocol.driver import DriverSpec
from app.protocol.errors import DriverError
from app.reproductions.lease import Lease, succeed
from app.statistics.label_map import LabelMapSuspectError
from app.statistics.metrics import MetricName
from app.verdicts.decide import Decision, ReportedValue, decide, refuse_suspect_labels
from app.verdicts.decide_metric import MetricMeasurement, decide_metric
from app.verdicts.evidence import Confusion, decision_document, measurement_of
from app.verdicts.issue import NewVerdict, issue


def conclude_run(session: Session, lease: Lease, facts: dict[str, Any]) -> Verdict:
    """Issue the verdict of a finished run and mark the run as succeeded.

    `facts` are what the evaluation states of itself: fingerprints, versions, device, label counts of the split. The
    counts are taken from the predictions as they are stored, never from the worker's own sums.
    Raises LeaseLostError where the run is no longer this attempt's, CancelRequestedError where it is being cancelled,
    DriverError where its predictions cannot become a verdict.
    """
    run = session.get_one(Reproduction, lease.reproduction_id)
    paper = lock_paper(session, run.paper_id)
    succeed(session, lease)
    spec = lease.spec
    confusion = stored_confusion(session, lease, spec.data.labels)
    _refuse_incomplete(confusion, facts)
    try:
        refuse_suspect_labels(confusion.matrix)
    except LabelMapSuspectError as error:
        raise DriverError("label_map_suspect", str(error)) from error
    claim = session.get_one(Claim, run.claim_id)
    reported = ReportedValue.from_printed(claim.reported_value, claim.unit)
    decision = _decided(reported, spec, confusion, _split_counts(spec, facts))
    document = decision_document(decision, margin=spec.decision.margin)
    session.get_one(Evidence, lease.evidence_id).content = {
        "labels": list(spec.data.labels),
        "confusion": confusion.matrix.tolist(),
        "decision": document,
        "driver": spec.model_dump(mode="json"),
        "facts": facts,
    }
    new = NewVerdict(
        paper_version_id=run.paper_version_id,
        claim_id=run.claim_id,
        kind=run.kind,
        origin=VerdictOrigin.reproduction,
        status=decision.status,
        score=decision.score,
        confidence=decision.confidence,
        agent_version=spec.agent_version,
        protocol_match=spec.protocol.match,
        protocol_axes=spec.protocol.model_dump(mode="json"),
        decision=document,
        reproduction_id=run.id,
        evidence_id=lease.evidence_id,
    )
    return issue(session, paper, new)


def _decided(reported: ReportedValue, spec: DriverSpec, confusion: Confusion, split: dict[str, int]) -> Decision:
    rule = spec.decision
    if spec.metric is MetricName.accuracy:
        return decide(
            reported,
            measurement_of(confusion, split, spec.slice.kind),
            estimand=rule.estimand,
            margin=rule.margin,
            match=spec.protocol.match,
            early_stopping=rule.early_stopping,
        )
    return decide_metric(
        reported,
        MetricMeasurement(spec.metric, confusion.matrix, sum(split.values()), spec.positive_index),
        estimand=rule.estimand,
        margin=rule.margin,
        match=spec.protocol.match,
        seed=rule.bootstrap_seed,
    )


def stored_confusion(session: Session, lease: Lease, labels: tuple[str, ...]) -> Confusion:
    """The confusion matrix of the stored predictions."""
    rows = session.execute(
        select(Prediction.gold, Prediction.predicted, func.count())
        .where(Prediction.evidence_id == lease.evidence_id)
        .group_by(Prediction.gold, Prediction.predicted)
    ).all()
    return Confusion.of(labels, [(gold, predicted, count) for gold, predicted, count in rows])


def _split_counts(spec: DriverSpec, facts: dict[str, Any]) -> dict[str, int]:
    return dict(zip(spec.data.labels, facts["data"]["label_counts"], strict=True))


def _refuse_incomplete(confusion: Confusion, facts: dict[str, Any]) -> None:
    stopping = facts.get("stopping")
    expected = stopping["examined"] if stopping else facts["slice"]["size"]
    if confusion.n != expected:
        detail = f"{confusion.n} of {expected} predictions are stored; the run has to be repeated."
        raise DriverError("predictions_incomplete", detail, retryable=True)
