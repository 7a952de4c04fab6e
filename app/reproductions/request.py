"""Ask for a reproduction: write its row; the bell is rung after the commit."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.access.actor import actor_of
from app.access.audit import record
from app.claims.queries import find_claim_of
from app.core.db import after_commit
from app.core.logging import bound_request_id
from app.core.queue import Doorbell
from app.core.settings import QueueSettings
from app.core.telemetry import traceparent
from app.drivers.errors import DriverMismatchError
from app.drivers.queries import find_driver, find_driver_for
from app.models import ApiKey, Claim, Driver, Evidence, Paper, PaperVersion, Reproduction, ReproductionState
from app.models.base import new_id
from app.papers.find import find_paper, find_version
from app.papers.ids import PaperRef
from app.protocol.axes import DataAxis
from app.protocol.driver import DriverSpec
from app.protocol.slices import SliceKind, SliceSpec
from app.reproductions.errors import PaperWithdrawnError, QuotaExceededError, SliceError
from app.reproductions.schemas import ReproductionPost
from app.reproductions.turns import next_turn

_log = structlog.get_logger(__name__)
_IN_FLIGHT = text("state IN ('queued', 'running') AND NOT forced AND cancel_requested_at IS NULL")


@dataclass(frozen=True, slots=True)
class Subject:
    """What a run is about."""

    paper: Paper
    version: PaperVersion
    claim: Claim
    driver: Driver


def request_reproduction(
    session: Session,
    ref: PaperRef,
    post: ReproductionPost,
    queue: QueueSettings,
    doorbell: Doorbell,
    *,
    quota: int | None = None,
) -> tuple[UUID, bool]:
    """Queue a run and have the bell rung after the commit, or find the same one in flight.

    `quota` is how many runs the session's key may have in flight; joining somebody's run takes none of it.
    Returns its id and whether it is new. Raises the errors of papers, claims and drivers, PaperWithdrawnError,
    SliceError and QuotaExceededError; nothing is written then.
    """
    subject = _subject(session, ref, post)
    spec = _with_slice(DriverSpec.model_validate(subject.driver.spec), post.slice_size)
    digest = sha256(f"{spec.digest} {subject.version.id}".encode()).hexdigest()
    requester = _requester(session)
    while True:
        made = _insert(session, subject, spec, digest, post, queue, requester)
        if made is not None:
            if requester is not None and quota is not None:
                _refuse_more_than(session, requester, quota)
            facts = {"paper": subject.paper.arxiv_id, "driver": subject.driver.slug, "kind": post.kind}
            record(session, "reproduction.requested", f"reproductions/{made}", facts | {"priority": post.priority})
            after_commit(session, partial(_log.info, "run_queued", reproduction_id=str(made), driver=spec.slug))
            after_commit(session, partial(doorbell.ring, str(made)))
            return made, True
        same = _in_flight(session, subject, digest, post)
        if same is not None:
            return same, False
        # The other run ended between the two statements: now there is room for this one.


def _requester(session: Session) -> UUID | None:
    """The session's key, its row locked: its requests follow one another, so that each has its turn and counts."""
    key_id = actor_of(session).key_id
    if key_id is not None:
        session.execute(select(ApiKey.id).where(ApiKey.id == key_id).with_for_update(key_share=True))
    return key_id


def _refuse_more_than(session: Session, requester: UUID, quota: int) -> None:
    in_flight = session.scalar(
        select(func.count())
        .select_from(Reproduction)
        .where(Reproduction.requested_by == requester, text("state IN ('queued', 'running')"))
    )
    if (in_flight or 0) > quota:
        detail = f"This key has {quota} runs that wait or run, and may have no more: wait for some, or cancel some."
        raise QuotaExceededError(detail, headers={"Retry-After": "30"})


def _subject(session: Session, ref: PaperRef, post: ReproductionPost) -> Subject:
    paper = find_paper(session, ref, location="/v1/papers/{id}/reproductions")
    if paper.withdrawn:
        detail = f"{paper.arxiv_id} is withdrawn; its claims are not re-measured. Its verdicts stay readable."
        raise PaperWithdrawnError(detail)
    version = find_version(session, paper, ref.version)
    wanted = post.claim
    if wanted is None and post.driver is not None:
        wanted = find_driver(session, post.driver).claim_id
        claim = session.get_one(Claim, wanted)
        if claim.paper_id != paper.id:
            detail = f"{post.driver} re-measures a claim of another paper; GET /v1/drivers/{post.driver} names it."
            raise DriverMismatchError(detail)
    claim = find_claim_of(session, paper, wanted)
    return Subject(paper, version, claim, find_driver_for(session, claim, post.driver))


def _with_slice(spec: DriverSpec, size: int | None) -> DriverSpec:
    """The specification, measuring `size` examples where that is asked for."""
    if size is None or size == spec.slice.size:
        return spec
    if size > spec.data.size:
        detail = f"The split has {spec.data.size} examples; ask for {spec.data.size} at most."
        raise SliceError(detail)
    if spec.slice.kind is SliceKind.full and size == spec.data.size:
        return spec
    if spec.slice.kind is SliceKind.balanced and size < len(spec.data.labels):
        detail = f"A balanced slice needs one example of each of the {len(spec.data.labels)} labels at least."
        raise SliceError(detail)
    kind = SliceKind.simple if spec.slice.kind is SliceKind.full else spec.slice.kind
    axes = spec.protocol
    if axes.data is DataAxis.full_split:
        axes = axes.model_copy(update={"data": DataAxis.probability_slice})
    drawn = SliceSpec(kind=kind, size=size, seed=spec.slice.seed)
    return DriverSpec.model_validate({**spec.model_dump(), "slice": drawn.model_dump(), "protocol": axes.model_dump()})


def _insert(
    session: Session,
    subject: Subject,
    spec: DriverSpec,
    digest: str,
    post: ReproductionPost,
    queue: QueueSettings,
    requester: UUID | None,
) -> UUID | None:
    """The id of the new row; None where the same run is in flight."""
    evidence_id = new_id()
    values: dict[str, Any] = {
        "id": new_id(),
        "paper_id": subject.paper.id,
        "paper_version_id": subject.version.id,
        "claim_id": subject.claim.id,
        "driver_id": subject.driver.id,
        "kind": post.kind,
        "state": ReproductionState.queued,
        "spec": spec.model_dump(mode="json"),
        "config_digest": digest,
        "forced": post.force,
        "priority": post.priority,
        "turn": next_turn(requester, post.priority),
        "requested_by": requester,
        "traceparent": traceparent(),
        "max_attempts": queue.max_attempts,
        "request_id": bound_request_id(),
        "evidence_id": evidence_id,
        # The database's clock alone decides about leases and deadlines, so that hosts may disagree about the time.
        **dict.fromkeys(("requested_at", "not_before", "rung_at"), func.now()),
        "deadline_at": func.now() + timedelta(seconds=queue.deadline_s),
    }
    statement = insert(Reproduction).values(**values)
    keys = ["claim_id", "kind", "driver_id", "config_digest"]
    made = session.scalar(
        statement.on_conflict_do_nothing(index_elements=keys, index_where=_IN_FLIGHT).returning(Reproduction.id)
    )
    if made is not None:
        session.execute(insert(Evidence).values(id=evidence_id))
    return made


def _in_flight(session: Session, subject: Subject, digest: str, post: ReproductionPost) -> UUID | None:
    return session.scalar(
        select(Reproduction.id).where(
            Reproduction.claim_id == subject.claim.id,
            Reproduction.kind == post.kind,
            Reproduction.driver_id == subject.driver.id,
            Reproduction.config_digest == digest,
            _IN_FLIGHT,
        )
    )
