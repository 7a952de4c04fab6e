"""Concluding a run: from the predictions as they are stored, to a verdict and a succeeded run, or to nothing at all."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.core.db import Database
from app.models import Evidence, PaperDocument, Prediction, Reproduction, ReproductionState, Verdict
from app.protocol.axes import ProtocolMatch
from app.protocol.driver import Estimand
from app.protocol.errors import DriverError
from app.reproductions.errors import LeaseLostError
from app.reproductions.lease import Lease
from app.statistics.counts import Stratum
from app.verdicts import conclude as concluding
from app.verdicts import issue as issuing
from app.verdicts.conclude import conclude_run
from app.verdicts.decide import Measurement, ReportedValue, decide
from tests.factories.drivers import LABELS, SIZE, Subject, make_subject
from tests.factories.runs import ask, beat, facts, let_pass, predictions, read_run, take
from tests.factories.threads import together

MNLI = (3479, 3123, 3213)
"""Items of MNLI validation_matched by label."""


@pytest.fixture
def subject(database: Database) -> Subject:
    return make_subject(database)


def _conclude(database: Database, lease: Lease, stated: dict[str, Any] | None = None) -> Verdict:
    with database.unit_of_work() as session:
        return conclude_run(session, lease, stated or facts())


def _store(database: Database, lease: Lease, confusion: Sequence[Sequence[int]]) -> None:
    """Store as many predictions as the confusion matrix counts, gold labels by row."""
    statement = text(
        "INSERT INTO predictions (evidence_id, row, item_id, gold, predicted) "
        "SELECT :evidence, row, row::text, :gold, :predicted "
        "FROM generate_series(CAST(:start AS int), CAST(:end AS int)) AS row"
    )
    row = 0
    with database.unit_of_work() as session:
        for gold, counts in enumerate(confusion):
            for predicted, count in enumerate(counts):
                place = {"start": row, "end": row + count - 1}
                session.execute(
                    statement, {"evidence": lease.evidence_id, "gold": gold, "predicted": predicted, **place}
                )
                row += count


def _written(database: Database, run_id: UUID) -> tuple[object, ...]:
    """All that concluding writes: the run, the evidence, the verdicts, the document."""
    with database.unit_of_work() as session:
        run = session.get_one(Reproduction, run_id)
        columns = tuple(getattr(run, column.name) for column in Reproduction.__table__.columns)
        content = session.get_one(Evidence, run.evidence_id).content
        verdicts = tuple(session.scalars(select(Verdict.id).order_by(Verdict.id)))
        return (columns, content, verdicts, session.get_one(PaperDocument, run.paper_id).body)


# --- the verdict


def test_the_run_the_verdict_and_the_evidence_belong_together(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject, kind="PRE")
    lease = take(database)
    beat(database, lease, predictions(wrong=[0, 1, 5]))
    stated = facts() | {"environment": {"python": "3.11"}}
    issued = _conclude(database, lease, stated)
    run = read_run(database, run_id)
    assert (run.state, run.stage, run.lease_until, run.error) == ("succeeded", None, None, None)
    assert run.finished_at is not None
    with database.unit_of_work() as session:
        verdict = session.scalars(select(Verdict)).one()
        content = session.get_one(Evidence, run.evidence_id).content
    assert verdict.id == issued.id
    assert (verdict.reproduction_id, verdict.evidence_id, verdict.origin) == (run_id, run.evidence_id, "reproduction")
    assert (verdict.claim_id, verdict.kind, verdict.paper_version_id) == (subject.claim_id, "PRE", subject.version_id)
    assert (verdict.agent_version, verdict.protocol_match) == ("v0.1.0-tiny", "proxy")
    assert verdict.protocol_axes == lease.spec.protocol.model_dump(mode="json")
    assert verdict.score == 9 / 12
    assert content == {
        "labels": list(LABELS),
        "confusion": [[3, 1, 0], [0, 3, 1], [1, 0, 3]],
        "decision": verdict.decision,
        "driver": run.spec,
        "facts": stated,
    }


def test_the_counts_come_from_the_stored_predictions(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    lease = take(database)
    beat(database, lease, predictions(range(9), wrong=[0, 1, 4]))
    let_pass(database, run_id, "lease_until")
    lease = take(database)  # a second attempt predicts the rest, and reports more than there is
    batch = predictions(range(9, SIZE))
    beat(database, lease, batch)
    with database.unit_of_work() as session:
        session.execute(text("UPDATE reproductions SET progress_done = 12, progress_correct = 12"))
    verdict = _conclude(database, lease)
    assert verdict.score == 9 / 12
    with database.unit_of_work() as session:
        content = session.get_one(Evidence, lease.evidence_id).content
    assert content is not None
    # rows 0 and 1 and 4 were answered with the next label: gold 0 once, gold 1 twice
    assert content["confusion"] == [[3, 1, 0], [0, 2, 2], [0, 0, 4]]


def test_the_decision_is_that_of_the_rule_on_these_counts(database: Database) -> None:
    subject = make_subject(database, decision={"margin": 0.03, "estimand": "superpopulation"})
    ask(database, subject, slice_size=9)
    lease = take(database)
    beat(database, lease, predictions(range(9), wrong=[2]))
    verdict = _conclude(database, lease, facts(9))
    expected = decide(
        ReportedValue(0.75, 0.0005),
        Measurement((Stratum(n=9, correct=8, total=12),), 12),
        estimand=Estimand.superpopulation,
        margin=0.03,
        match=ProtocolMatch.proxy,
    )
    assert (verdict.status, verdict.score, verdict.confidence) == (expected.status, 8 / 9, expected.confidence)
    assert verdict.decision is not None
    assert verdict.decision["interval_95"] == list(expected.interval_95)
    assert (verdict.decision["delta"], verdict.decision["margin"]) == (0.03, 0.0305)
    assert verdict.decision["estimand"] == "superpopulation"


def test_a_balanced_slice_is_judged_by_label(database: Database) -> None:
    counts = (100, 50, 30)
    subject = make_subject(
        database,
        data={"size": sum(counts)},
        slice={"kind": "balanced", "size": 60},
        protocol={"data": "probability_slice"},
    )
    ask(database, subject)
    lease = take(database)
    _store(database, lease, [[20, 0, 0], [5, 15, 0], [0, 10, 10]])
    verdict = _conclude(database, lease, facts(60, counts))
    strata = tuple(Stratum(n=20, correct=k, total=total) for k, total in zip((20, 15, 10), counts, strict=True))
    expected = decide(
        ReportedValue(0.75, 0.0005),
        Measurement(strata, sum(counts)),
        estimand=Estimand.finite_population,
        margin=0.01,
        match=ProtocolMatch.proxy,
    )
    assert verdict.score == 45 / 60
    assert verdict.decision is not None
    assert verdict.decision["estimate"] == pytest.approx((100 * 20 + 50 * 15 + 30 * 10) / 20 / 180)
    assert verdict.decision["interval_95"] == list(expected.interval_95)
    assert (verdict.status, verdict.confidence) == (expected.status, expected.confidence)


def test_a_simple_slice_is_judged_as_one(database: Database) -> None:
    subject = make_subject(
        database,
        data={"size": 180},
        slice={"kind": "simple", "size": 60},
        protocol={"data": "probability_slice"},
    )
    ask(database, subject)
    lease = take(database)
    _store(database, lease, [[20, 0, 0], [5, 15, 0], [0, 10, 10]])
    verdict = _conclude(database, lease, facts(60, (100, 50, 30)))
    assert verdict.decision is not None
    assert verdict.decision["estimate"] == verdict.score == 45 / 60


def test_the_whole_split_leaves_nothing_to_chance(database: Database) -> None:
    subject = make_subject(database, data={"size": 9815}, claim={"reported_value": "91.8"})
    ask(database, subject)
    lease = take(database)
    _store(database, lease, [[3200, 200, 79], [150, 2873, 100], [100, 143, 2970]])
    verdict = _conclude(database, lease, facts(9815, MNLI))
    accuracy = (3200 + 2873 + 2970) / 9815
    assert abs(accuracy - 0.918) < 0.0105
    assert verdict.decision is not None
    assert verdict.decision["interval_90"] == verdict.decision["interval_95"] == [accuracy] * 2
    assert (verdict.status, verdict.confidence) == ("reproduced", 0.85)


# --- refusals


@pytest.mark.parametrize("stored", [0, 1, SIZE - 1])
def test_a_run_with_predictions_missing_may_be_tried_again(stored: int, database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    lease = take(database)
    beat(database, lease, predictions(range(stored)))
    before = _written(database, run_id)
    with pytest.raises(DriverError) as refusal:
        _conclude(database, lease)
    assert (refusal.value.code, refusal.value.retryable) == ("predictions_incomplete", True)
    assert f"{stored} of {SIZE}" in refusal.value.message
    assert _written(database, run_id) == before


def test_more_predictions_than_the_slice_has_are_no_result(database: Database, subject: Subject) -> None:
    ask(database, subject)
    lease = take(database)
    beat(database, lease, predictions(range(SIZE)))
    with pytest.raises(DriverError) as refusal:
        _conclude(database, lease, facts(SIZE - 1))
    assert refusal.value.code == "predictions_incomplete"


PERMUTED = ((230, 2965, 284), (284, 210, 2629), (2719, 284, 210))
"""650 of 9,815 right, and 8,313 were each label called by the next one's name."""


def test_permuted_labels_fail_the_run_and_give_no_verdict(database: Database) -> None:
    assert [sum(row) for row in PERMUTED] == list(MNLI)
    assert sum(PERMUTED[i][i] for i in range(3)) == 650
    assert sum(PERMUTED[i][(i + 1) % 3] for i in range(3)) == 8313
    subject = make_subject(database, data={"size": 9815}, claim={"reported_value": "91.8"})
    run_id = ask(database, subject)
    lease = take(database)
    _store(database, lease, PERMUTED)
    before = _written(database, run_id)
    with pytest.raises(DriverError) as refusal:
        _conclude(database, lease, facts(9815, MNLI))
    assert (refusal.value.code, refusal.value.retryable) == ("label_map_suspect", False)
    assert _written(database, run_id) == before


def test_a_poor_model_with_honest_labels_gets_its_verdict(database: Database) -> None:
    subject = make_subject(database, data={"size": 9815}, claim={"reported_value": "91.8"})
    ask(database, subject)
    lease = take(database)
    _store(database, lease, [[1160, 1160, 1159], [1041, 1041, 1041], [1071, 1071, 1071]])
    verdict = _conclude(database, lease, facts(9815, MNLI))
    assert verdict.status == "not_reproduced"


@pytest.mark.parametrize("lost", ["to another", "to the end"])
def test_a_late_worker_concludes_nothing(lost: str, database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    late = take(database, "late")
    beat(database, late, predictions())
    let_pass(database, run_id, "lease_until")
    winner = take(database, "another")
    if lost == "to the end":
        _conclude(database, winner)
    before = _written(database, run_id)
    with pytest.raises(LeaseLostError):
        _conclude(database, late)
    assert _written(database, run_id) == before


def test_two_workers_that_conclude_at_once_give_one_verdict(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    late = take(database, "late")
    beat(database, late, predictions())
    let_pass(database, run_id, "lease_until")
    leases = [late, take(database, "another")]

    def work(number: int) -> str:
        try:
            _conclude(database, leases[number % 2])
        except LeaseLostError:
            return "lost"
        return "concluded"

    assert sorted(together(8, work)) == ["concluded"] + ["lost"] * 7
    with database.unit_of_work() as session:
        assert session.scalar(select(func.count()).select_from(Verdict)) == 1


# --- one transaction


class _InjectedError(Exception):
    pass


@pytest.mark.parametrize(
    ("module", "step"),
    [(concluding, "refuse_suspect_labels"), (concluding, "decide"), (concluding, "issue"), (issuing, "write_document")],
)
def test_a_failure_at_any_step_leaves_nothing(
    module: object, step: str, database: Database, subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(database, subject)
    first = take(database)
    beat(database, first, predictions())
    _conclude(database, first)  # so that there is a verdict to flip
    run_id = ask(database, subject)
    lease = take(database)
    beat(database, lease, predictions(wrong=[0]))
    before = _written(database, run_id)
    reached = []

    def fail(*args: object, **_: object) -> None:
        if args and isinstance(args[0], Session):
            args[0].flush()
        reached.append(step)
        raise _InjectedError

    with monkeypatch.context() as patched:
        patched.setattr(module, step, fail)
        with pytest.raises(_InjectedError):
            _conclude(database, lease)
    assert reached == [step]
    assert _written(database, run_id) == before
    assert _conclude(database, lease).sequence == 2  # nothing stands in the way of doing it again


def test_a_commit_that_fails_leaves_nothing(database: Database, subject: Subject) -> None:
    run_id = ask(database, subject)
    lease = take(database)
    beat(database, lease, predictions())
    before = _written(database, run_id)

    with database.unit_of_work() as session:
        session.execute(text("CREATE TABLE a (id int PRIMARY KEY)"))
        session.execute(text("CREATE TABLE b (id int REFERENCES a DEFERRABLE INITIALLY DEFERRED)"))

    def conclude_and_break() -> None:
        with database.unit_of_work() as session:
            conclude_run(session, lease, facts())
            session.flush()
            session.execute(text("INSERT INTO b VALUES (1)"))  # refused by the commit

    with pytest.raises(IntegrityError, match="b_id_fkey"):
        conclude_and_break()
    assert _written(database, run_id) == before
    assert read_run(database, run_id).state is ReproductionState.running
    with database.unit_of_work() as session:
        assert session.scalar(select(func.count()).select_from(Prediction)) == SIZE
