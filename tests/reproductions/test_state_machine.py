"""The life of runs against a small model: whatever happens in whatever order, the rows are what the model says."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import func, select, text

from app.core.db import Database
from app.core.settings import QueueSettings
from app.models import Paper, PaperDocument, Reproduction, ReproductionState, Verdict
from app.papers.document import build_document
from app.protocol.errors import DriverError
from app.reproductions.cancel import cancel_reproduction
from app.reproductions.errors import LeaseLostError, ReproductionDoneError
from app.reproductions.lease import Lease, confirm_cancel, give_up, hand_back, stored_rows
from app.reproductions.sweep import sweep
from app.verdicts.conclude import conclude_run
from tests.factories.databases import opened
from tests.factories.drivers import SIZE, Subject, make_subject
from tests.factories.runs import Bell, ask, beat, facts, let_pass, predictions, try_take

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
    stored: set[int] = field(default_factory=set)

    @property
    def size(self) -> int:
        return self.question[1]

    def may_be_taken(self) -> bool:
        waits = self.state is State.queued and not self.backing_off
        lost = self.state is State.running and self.lease_expired
        return (waits or lost) and not self.cancelling and not self.overdue and self.attempt < QUEUE.max_attempts

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
            self.verdicts = session.scalar(select(func.count()).select_from(Verdict)) or 0

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
        run.state, run.lease_expired = State.running, False
        run.fence, run.attempt = run.fence + 1, run.attempt + 1
        assert (lease.fence, lease.attempt) == (run.fence, run.attempt)
        with self.database.unit_of_work() as session:
            assert stored_rows(session, lease)[0] == run.stored
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
        with self.database.unit_of_work() as session:
            verdict = conclude_run(session, lease, facts(run.size))
        assert (verdict.reproduction_id, verdict.kind) == (lease.reproduction_id, run.question[0])
        assert verdict.score == 1.0
        run.state, run.error = State.succeeded, None
        self.verdicts += 1

    @precondition(lambda self: self.leases)
    @rule(pick=PICKS)
    def finish_with_what_there_is(self, pick: int) -> None:
        lease = self.a_lease(pick)
        run = self.model[lease.reproduction_id]
        if not run.belongs_to(lease):
            expected = "lost"
        else:
            expected = "concluded" if len(run.stored) == run.size else "predictions_incomplete"
        assert self._conclude(lease, run.size) == expected
        if expected == "concluded":
            run.state, run.error = State.succeeded, None
            self.verdicts += 1

    def _conclude(self, lease: Lease, size: int) -> str:
        try:
            with self.database.unit_of_work() as session:
                conclude_run(session, lease, facts(size))
        except LeaseLostError:
            return "lost"
        except DriverError as error:
            return error.code
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
            rows = session.scalars(select(Reproduction).where(Reproduction.id.in_(self.model))).all()
            verdicts = session.scalar(select(func.count()).select_from(Verdict))
        assert verdicts == self.verdicts
        assert {row.id for row in rows} == set(self.model)
        for row in rows:
            run = self.model[row.id]
            seen = (row.state, row.fence, row.attempt, row.cancel_requested_at is not None)
            assert seen == (run.state, run.fence, run.attempt, run.cancelling)
            assert (row.lease_until is not None, row.finished_at is not None) == (
                run.state is State.running,
                run.state.done,
            )
            assert (row.error or {}).get("code") == run.error

    def teardown(self) -> None:
        """Each success has its verdict, each line is a chain whose last is current, the document shows just that."""
        with self.database.unit_of_work() as session:
            verdicts = session.scalars(select(Verdict).order_by(Verdict.kind, Verdict.sequence)).all()
            paper = session.get_one(Paper, self.subject.paper_id)
            stored = session.get_one(PaperDocument, paper.id).body
            built = build_document(session, paper)
        assert built is not None
        assert stored == built.model_dump_json().encode()
        succeeded = {run_id for run_id, run in self.model.items() if run.state is State.succeeded}
        assert succeeded <= {verdict.reproduction_id for verdict in verdicts}
        for kind in ("PRE", "POST"):
            line = [verdict for verdict in verdicts if verdict.kind == kind]
            assert [verdict.sequence for verdict in line] == list(range(1, len(line) + 1))
            assert [verdict.superseded_by_id for verdict in line] == [one.id for one in line[1:]] + [None] * bool(line)
            assert [verdict.is_current for verdict in line] == [False] * (len(line) - 1) + [True] * bool(line)


def _swept(run: Run) -> list[str]:
    """What the sweep does to the run, which the model follows."""
    actions = []
    lost = run.state is State.running and run.lease_expired
    if run.cancelling and (lost or run.state is State.queued):
        actions, run.state = ["cancelled"], State.cancelled
    elif lost and run.attempt >= QUEUE.max_attempts:
        actions, run.state, run.error = ["failed"], State.failed, "worker_lost"
    elif lost:
        actions, run.state = ["requeued"], State.queued
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
