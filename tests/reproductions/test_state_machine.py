"""The life of runs and the chain of verdicts against a small model: whatever happens, the rows are what it says."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import select, text

from app.core.db import Database
from app.core.settings import QueueSettings
from app.models import Paper, PaperDocument, Reproduction, ReproductionState, Verdict, VerdictKind
from app.papers.document import build_document
from app.papers.find import find_paper, find_version
from app.papers.schemas import PaperDocumentRead
from app.protocol.errors import DriverError
from app.reproductions.cancel import cancel_reproduction
from app.reproductions.errors import CancelRequestedError, LeaseLostError, ReproductionDoneError
from app.reproductions.lease import Lease, confirm_cancel, give_up, hand_back, read_stored
from app.reproductions.sweep import sweep
from app.verdicts.conclude import conclude_run
from app.verdicts.post import post_verdict
from app.verdicts.schemas import VerdictPost
from tests.factories.databases import opened
from tests.factories.drivers import SIZE, Subject, make_subject
from tests.factories.runs import Bell, ask, beat, facts, let_pass, predictions, try_take
from tests.factories.verdicts import AXES

QUEUE = QueueSettings(max_attempts=2, backoff_s=60, lease_s=60)
State = ReproductionState
IN_FLIGHT = (State.queued, State.running)
MOST_IN_FLIGHT = 4
"""More would spread the steps too thinly for one run to meet all that can happen to it."""
PICKS = st.integers(0, 10_000)


@dataclass
class Run:
    """What the model knows of a run."""

    number: int
    question: tuple[str, int]
    priority: int
    forced: bool
    state: State = State.queued
    fence: int = 0
    attempt: int = 0
    cancelling: bool = False
    lease_expired: bool = False
    backing_off: bool = False
    overdue: bool = False
    error: str | None = None
    verdict: UUID | None = None
    stored: set[int] = field(default_factory=set)
    began_with: int = 0

    @property
    def size(self) -> int:
        return self.question[1]

    def may_be_taken(self) -> bool:
        waits = self.state is State.queued and not self.backing_off
        lost = self.state is State.running and self.lease_expired
        return (waits or lost) and not self.cancelling and not self.overdue and self.attempt < QUEUE.max_attempts

    def lost_attempts(self) -> int:
        """How much the attempt counts whose lease ran out: not at all, where it stored something new."""
        return 0 if len(self.stored) > self.began_with else 1

    def belongs_to(self, lease: Lease) -> bool:
        return self.state is State.running and self.fence == lease.fence


class LifeOfRuns(RuleBasedStateMachine):
    """Clients, workers and the sweep, in any order; mostly about the few runs and leases that are alive."""

    def __init__(self, database: Database, subject: Subject) -> None:
        super().__init__()
        self.database, self.subject = database, subject
        self.model: dict[UUID, Run] = {}
        self.leases: list[Lease] = []
        with database.unit_of_work() as session:  # what earlier examples left is none of this one's
            ended = "UPDATE reproductions SET state = 'cancelled', lease_until = NULL, finished_at = now()"
            session.execute(text(f"{ended} WHERE state IN ('queued', 'running')"))
            # Verdicts stay for ever, those of earlier examples too: the chains go on from them.
            found = session.execute(select(Verdict.kind, Verdict.id).order_by(Verdict.sequence)).all()
        self.lines = {kind: [one for line, one in found if line == kind] for kind in VerdictKind}

    def in_flight(self) -> list[UUID]:
        return [run_id for run_id, run in self.model.items() if run.state in IN_FLIGHT]

    def a_run(self, pick: int) -> UUID:
        living = self.in_flight() if pick % 6 else []
        among = living or list(self.model)
        return among[pick % len(among)]

    def a_lease(self, pick: int) -> Lease:
        living = [one for one in self.leases if self.model[one.reproduction_id].belongs_to(one)] if pick % 4 else []
        among = living or self.leases
        return among[pick % len(among)]

    # --- clients

    @precondition(lambda self: len(self.in_flight()) < MOST_IN_FLIGHT)
    @rule(
        kind=st.sampled_from(["PRE", "POST"]),
        size=st.sampled_from([6, SIZE]),
        priority=st.sampled_from([0, 5]),
        force=st.sampled_from([False, False, True]),
    )
    def request(self, kind: str, size: int, priority: int, force: bool) -> None:  # noqa: FBT001  # drawn by name
        question = (kind, size)
        same = [
            run_id
            for run_id, run in self.model.items()
            if run.question == question and run.state in IN_FLIGHT and not run.forced and not run.cancelling
        ]
        bell = Bell()
        post: dict[str, Any] = {"kind": kind, "slice_size": size, "priority": priority, "force": force}
        run_id = ask(self.database, self.subject, bell, QUEUE, **post)
        if force or not same:
            assert run_id not in self.model
            assert bell.rung == [str(run_id)]
            self.model[run_id] = Run(len(self.model), question, priority, force)
        else:
            assert ([run_id], bell.rung) == (same, [])

    @precondition(lambda self: self.model)
    @rule(pick=PICKS)
    def cancel(self, pick: int) -> None:
        run_id = self.a_run(pick)
        run = self.model[run_id]
        refused = run.state.done and run.state is not State.cancelled
        try:
            with self.database.unit_of_work() as session:
                cancel_reproduction(session, run_id)
        except ReproductionDoneError:
            assert refused
        else:
            assert not refused
        if run.state in IN_FLIGHT:
            run.cancelling = True
            if run.state is State.queued:
                run.state = State.cancelled

    # --- workers

    @rule(worker=st.sampled_from(["a", "b", "c"]))
    def take(self, worker: str) -> None:
        waiting = sorted((run.priority, run.number, run_id) for run_id, run in self.model.items() if run.may_be_taken())
        lease = try_take(self.database, worker, QUEUE)
        if not waiting:
            assert lease is None
            return
        assert lease is not None
        assert lease.reproduction_id == waiting[0][2]
        run = self.model[lease.reproduction_id]
        if run.state is State.running:
            run.attempt -= 1 - run.lost_attempts()
        run.state, run.lease_expired, run.began_with = State.running, False, len(run.stored)
        run.fence, run.attempt = run.fence + 1, run.attempt + 1
        assert (lease.fence, lease.attempt) == (run.fence, run.attempt)
        with self.database.unit_of_work() as session:
            assert read_stored(session, lease).rows == run.stored
        self.leases.append(lease)

    def _beat(self, lease: Lease, rows: set[int]) -> bool:
        """Whether the run is still the lease's; the model keeps step."""
        run = self.model[lease.reproduction_id]
        try:
            cancelled = beat(self.database, lease, predictions(sorted(rows)), QUEUE)
        except LeaseLostError:
            assert not run.belongs_to(lease)
            return False
        assert run.belongs_to(lease)
        assert cancelled == run.cancelling
        run.lease_expired = False
        run.stored |= rows
        return True

    @precondition(lambda self: self.leases)
    @rule(pick=PICKS, number=st.integers(1, 5))
    def heartbeat(self, pick: int, number: int) -> None:
        lease = self.a_lease(pick)
        run = self.model[lease.reproduction_id]
        self._beat(lease, set(sorted(set(range(run.size)) - run.stored)[:number]))

    @precondition(lambda self: self.leases)
    @rule(pick=PICKS)
    def finish(self, pick: int) -> None:
        lease = self.a_lease(pick)
        run = self.model[lease.reproduction_id]
        if not self._beat(lease, set(range(run.size)) - run.stored):
            return
        assert self._conclude(lease, run.size) == ("cancelled" if run.cancelling else "concluded")

    @precondition(lambda self: self.leases)
    @rule(pick=PICKS)
    def finish_with_what_there_is(self, pick: int) -> None:
        lease = self.a_lease(pick)
        run = self.model[lease.reproduction_id]
        if not run.belongs_to(lease):
            expected = "lost"
        elif run.cancelling:
            expected = "cancelled"
        else:
            expected = "concluded" if len(run.stored) == run.size else "predictions_incomplete"
        assert self._conclude(lease, run.size) == expected

    def _conclude(self, lease: Lease, size: int) -> str:
        """What came of it; the model keeps step."""
        run = self.model[lease.reproduction_id]
        try:
            with self.database.unit_of_work() as session:
                verdict = conclude_run(session, lease, facts(size))
        except LeaseLostError:
            return "lost"
        except CancelRequestedError:
            return "cancelled"
        except DriverError as error:
            return error.code
        assert (verdict.reproduction_id, verdict.kind) == (lease.reproduction_id, run.question[0])
        assert verdict.score == 1.0
        run.state, run.error = State.succeeded, None
        run.verdict = verdict.id
        self.lines[verdict.kind].append(verdict.id)
        return "concluded"

    @precondition(lambda self: self.leases)
    @rule(pick=PICKS, retryable=st.booleans())
    def fail(self, pick: int, retryable: bool) -> None:  # noqa: FBT001  # drawn by name
        lease = self.a_lease(pick)
        run = self.model[lease.reproduction_id]
        error = DriverError("hub_unreachable", "The hub does not answer.", retryable=retryable)
        try:
            with self.database.unit_of_work() as session:
                state = give_up(session, lease, error, QUEUE)
        except LeaseLostError:
            assert not run.belongs_to(lease)
            return
        assert run.belongs_to(lease)
        again = retryable and run.attempt < QUEUE.max_attempts
        run.state, run.backing_off = (State.queued, True) if again else (State.failed, False)
        run.error = "hub_unreachable"
        assert state is run.state

    @precondition(lambda self: self.leases)
    @rule(pick=PICKS)
    def shut_down(self, pick: int) -> None:
        lease = self.a_lease(pick)
        run = self.model[lease.reproduction_id]
        try:
            with self.database.unit_of_work() as session:
                hand_back(session, lease)
        except LeaseLostError:
            assert not run.belongs_to(lease)
            return
        assert run.belongs_to(lease)
        run.state, run.attempt = State.queued, run.attempt - 1

    @precondition(lambda self: self.leases)
    @rule(pick=PICKS)
    def stop_where_cancelled(self, pick: int) -> None:
        lease = self.a_lease(pick)
        run = self.model[lease.reproduction_id]
        if self._beat(lease, set()) and run.cancelling:
            with self.database.unit_of_work() as session:
                confirm_cancel(session, lease)
            run.state = State.cancelled

    # --- outside agents

    @rule(kind=st.sampled_from(VerdictKind), correct=st.integers(0, 100))
    def post_evidence(self, kind: VerdictKind, correct: int) -> None:
        evidence = {"counts": [{"n": 100, "correct": correct, "total": 1000}]}
        protocol = {**AXES, "data": "probability_slice"}
        fields = {"kind": kind, "agent_version": "v1.0.0-outside", "protocol": protocol, "evidence": evidence}
        with self.database.unit_of_work() as session:
            paper = find_paper(session, self.subject.ref, lock=True)
            post = VerdictPost.model_validate(fields)
            self.lines[kind].append(post_verdict(session, paper, find_version(session, paper, None), post).id)

    # --- time and the sweep

    @precondition(lambda self: self.model)
    @rule(pick=PICKS)
    def lose_the_worker(self, pick: int) -> None:
        run_id = self.a_run(pick)
        run = self.model[run_id]
        if run.state is State.running:
            let_pass(self.database, run_id, "lease_until")
            run.lease_expired = True

    @precondition(lambda self: self.model)
    @rule(pick=PICKS)
    def wait_out_the_back_off(self, pick: int) -> None:
        run_id = self.a_run(pick)
        run = self.model[run_id]
        if run.state in IN_FLIGHT:
            let_pass(self.database, run_id, "not_before")
            run.backing_off = False

    @precondition(lambda self: self.model)
    @rule(pick=PICKS)
    def miss_the_deadline(self, pick: int) -> None:
        run_id = self.a_run(pick)
        run = self.model[run_id]
        if run.state in IN_FLIGHT:
            let_pass(self.database, run_id, "deadline_at")
            run.overdue = True

    @rule()
    def sweep(self) -> None:
        bell = Bell()
        with self.database.unit_of_work() as session:
            result = sweep(session, QUEUE, bell)
        counts = {"requeued": 0, "failed": 0, "cancelled": 0, "expired": 0}
        for run in self.model.values():
            for action in _swept(run):
                counts[action] += 1
        assert result is not None
        assert {name: getattr(result, name) for name in counts} == counts
        waiting = {
            str(run_id) for run_id, run in self.model.items() if run.state is State.queued and not run.backing_off
        }
        assert set(bell.rung) <= waiting

    # --- what always holds

    @invariant()
    def the_rows_are_what_the_model_says(self) -> None:
        with self.database.unit_of_work() as session:
            rows = session.execute(
                select(Reproduction, Verdict.id)
                .outerjoin(Verdict, Verdict.reproduction_id == Reproduction.id)
                .where(Reproduction.id.in_(self.model))
            ).all()
        assert {row.id for row, _ in rows} == set(self.model)
        for row, verdict_id in rows:
            run = self.model[row.id]
            seen = (row.state, row.fence, row.attempt, row.cancel_requested_at is not None)
            assert seen == (run.state, run.fence, run.attempt, run.cancelling)
            assert (row.lease_until is not None, row.finished_at is not None) == (
                run.state is State.running,
                run.state.done,
            )
            assert (row.error or {}).get("code") == run.error
            assert verdict_id == run.verdict
            assert (verdict_id is not None) == (run.state is State.succeeded)

    @invariant()
    def the_lines_of_verdicts_are_what_the_model_says(self) -> None:
        """Each line is a chain in the order of issue, whose last is current; the document shows just that."""
        with self.database.unit_of_work() as session:
            verdicts = session.scalars(select(Verdict).order_by(Verdict.sequence)).all()
            body = session.get_one(PaperDocument, self.subject.paper_id).body
        shown = PaperDocumentRead.model_validate_json(body).verdicts
        for kind, in_document in ((VerdictKind.POST, shown.post), (VerdictKind.PRE, shown.pre)):
            ids = self.lines[kind]
            line = [verdict for verdict in verdicts if verdict.kind == kind]
            assert [verdict.id for verdict in line] == ids
            assert [verdict.sequence for verdict in line] == list(range(1, len(ids) + 1))
            assert [verdict.supersedes_id for verdict in line] == [None, *ids][: len(ids)]
            assert [verdict.superseded_by_id for verdict in line] == [*ids[1:], None][: len(ids)]
            assert [verdict.is_current for verdict in line] == [False] * (len(ids) - 1) + [True] * bool(ids)
            moments = [verdict.computed_at for verdict in line]
            assert moments == sorted(moments)
            assert [verdict.superseded_at for verdict in line] == [*moments[1:], None][: len(ids)]
            assert ([in_document.id] if in_document else []) == ids[-1:]

    def teardown(self) -> None:
        """The stored document is, byte for byte, the one that the rows make."""
        with self.database.unit_of_work() as session:
            paper = session.get_one(Paper, self.subject.paper_id)
            stored = session.get_one(PaperDocument, paper.id).body
            built = build_document(session, paper)
        assert built is not None
        assert stored == built.model_dump_json().encode()


def _swept(run: Run) -> list[str]:
    """What the sweep does to the run, which the model follows."""
    actions = []
    lost = run.state is State.running and run.lease_expired
    if run.cancelling and (lost or run.state is State.queued):
        actions, run.state = ["cancelled"], State.cancelled
    elif lost and run.attempt >= QUEUE.max_attempts and run.lost_attempts():
        actions, run.state, run.error = ["failed"], State.failed, "worker_lost"
    elif lost:
        actions, run.state, run.attempt = ["requeued"], State.queued, run.attempt - 1 + run.lost_attempts()
    if run.state is State.queued and run.overdue:
        actions, run.state = [*actions, "expired"], State.expired
    return actions


@pytest.mark.timeout(120)
def test_the_life_of_runs(database_url: str) -> None:
    with opened(database_url) as database:
        subject = make_subject(database)

        class Here(LifeOfRuns):
            def __init__(self) -> None:
                super().__init__(database, subject)

        bounds = settings(
            max_examples=25,
            stateful_step_count=50,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # shrinking a failure takes minutes; the steps as they were found say enough
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        run_state_machine_as_test(Here, settings=bounds)
