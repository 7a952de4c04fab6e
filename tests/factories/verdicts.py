"""Verdicts to issue."""

from typing import Any, Final
from uuid import UUID

from sqlalchemy.orm import Session

from app.core.db import Database
from app.models import Evidence, Reproduction, Verdict, VerdictKind, VerdictOrigin
from app.models.base import new_id
from app.papers.find import lock_paper
from app.reproductions.lease import Lease, succeed
from app.verdicts.issue import NewVerdict, issue
from tests.factories.drivers import Subject

AXES: Final = {"model": "released_predictions", "data": "full_split", "metric": "same", "inference": "same"}


def new_verdict(subject: Subject, **changes: Any) -> NewVerdict:  # noqa: ANN401  # fields of the dataclass
    """A verdict that came with an imported document, unless `changes` say otherwise."""
    fields: dict[str, Any] = {
        "paper_version_id": subject.version_id,
        "claim_id": subject.claim_id,
        "kind": VerdictKind.POST,
        "origin": VerdictOrigin.imported,
        "status": "reproduced",
        "score": 0.75,
        "confidence": 0.8,
        "agent_version": f"v0.1.0-{subject.slug}",
        "protocol_match": "proxy",
    }
    return NewVerdict(**fields | changes)


def issue_verdict(database: Database, subject: Subject, **changes: Any) -> UUID:  # noqa: ANN401  # as above
    """Issue a verdict in a unit of work of its own; its id."""
    with database.unit_of_work() as session:
        return issue(session, lock_paper(session, subject.paper_id), new_verdict(subject, **changes)).id


def conclude_without_rule(session: Session, subject: Subject, lease: Lease) -> Verdict:
    """End the run with a verdict, without measuring or deciding anything."""
    paper = lock_paper(session, subject.paper_id)
    succeed(session, lease)
    run = session.get_one(Reproduction, lease.reproduction_id)
    session.get_one(Evidence, lease.evidence_id).content = {"labels": [], "decision": {}}
    new = new_verdict(
        subject,
        id=new_id(),
        origin=VerdictOrigin.reproduction,
        paper_version_id=run.paper_version_id,
        kind=run.kind,
        reproduction_id=run.id,
        evidence_id=lease.evidence_id,
        decision={"delta": 0.01},
        protocol_axes=AXES,
    )
    return issue(session, paper, new)
