"""Many issue for one claim at once: one chain, one current verdict, and readers who never see anything else."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from uuid import UUID

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from app.core.db import Database
from app.models import Paper, PaperDocument, Verdict, VerdictKind
from app.papers.document import build_document
from app.papers.find import find_paper, find_version, lock_paper
from app.papers.schemas import PaperDocumentRead
from app.verdicts.conclude import conclude_run
from app.verdicts.issue import issue
from app.verdicts.post import post_verdict
from app.verdicts.schemas import VerdictPost
from tests.factories.databases import opened
from tests.factories.drivers import Subject, make_subject
from tests.factories.runs import ask, beat, facts, predictions, take
from tests.factories.threads import together
from tests.factories.verdicts import AXES, issue_verdict, new_verdict

CLIENTS = 32
KINDS = tuple(VerdictKind)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with opened(database_url, pool_size=CLIENTS + 4) as database:
        yield database


@pytest.fixture
def subject(database: Database) -> Subject:
    return make_subject(database)


class Reader:
    """Looks at the claim over and over, each time in one snapshot, and writes down what must not be."""

    def __init__(self, database: Database, subject: Subject) -> None:
        self._database, self._subject = database, subject
        self._began: set[VerdictKind] = set()
        self.looks = 0
        self.wrong: list[object] = []

    def look(self) -> None:
        with self._database.engine.connect() as connection:
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
            rows = connection.execute(
                select(Verdict.id, Verdict.kind, Verdict.sequence, Verdict.is_current)
                .where(Verdict.claim_id == self._subject.claim_id)
                .order_by(Verdict.sequence)
            ).all()
            body = connection.scalar(select(PaperDocument.body).where(PaperDocument.paper_id == self._subject.paper_id))
        document = PaperDocumentRead.model_validate_json(body or b"")
        shown = {VerdictKind.POST: document.verdicts.post, VerdictKind.PRE: document.verdicts.pre}
        for kind in KINDS:
            line = [row for row in rows if row.kind == kind]
            current = [row.id for row in line if row.is_current]
            verdict = shown[kind]
            seen = [verdict.id] if verdict else []
            if current != [row.id for row in line[-1:]] or seen != current or (kind in self._began and not line):
                self.wrong.append((kind, current, seen, len(line)))
            if line:
                self._began.add(kind)
        self.looks += 1


@contextmanager
def watched(database: Database, subject: Subject, readers: int = 2) -> Iterator[list[Reader]]:
    """Readers look for as long as the block runs, and once after it."""
    stop, watching = Event(), [Reader(database, subject) for _ in range(readers)]

    def run(reader: Reader) -> None:
        while not stop.is_set():
            reader.look()
        reader.look()

    threads = [Thread(target=run, args=[reader]) for reader in watching]
    for thread in threads:
        thread.start()
    try:
        yield watching
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def check_lines(database: Database, subject: Subject, expected: dict[VerdictKind, set[UUID]]) -> None:
    """Each line holds exactly these verdicts, as one chain whose last is current; the document shows just that."""
    with database.unit_of_work() as session:
        verdicts = session.scalars(
            select(Verdict).where(Verdict.claim_id == subject.claim_id).order_by(Verdict.sequence)
        ).all()
        paper = session.get_one(Paper, subject.paper_id)
        document = build_document(session, paper)
        stored = session.get_one(PaperDocument, subject.paper_id)
        newest = session.scalar(select(func.max(Verdict.computed_at)))
    for kind in KINDS:
        line = [verdict for verdict in verdicts if verdict.kind == kind]
        ids = [verdict.id for verdict in line]
        assert set(ids) == expected[kind]
        assert [verdict.sequence for verdict in line] == list(range(1, len(line) + 1))
        assert [verdict.supersedes_id for verdict in line] == [None, *ids][: len(ids)]
        assert [verdict.superseded_by_id for verdict in line] == [*ids[1:], None][: len(ids)]
        assert [verdict.is_current for verdict in line] == [False] * (len(ids) - 1) + [True] * bool(ids)
    assert document is not None
    assert stored.body == document.model_dump_json().encode()
    assert document.verdict is not None
    assert (paper.headline_status, paper.newest_verdict_at) == (document.verdict.status, newest)


def _issue(database: Database, subject: Subject, number: int, kind: VerdictKind) -> UUID:
    status = ("reproduced", "not_reproduced", "inconclusive")[number % 3]
    return issue_verdict(database, subject, kind=kind, status=status, score=number / CLIENTS)


def test_thirty_two_issue_for_one_line(database: Database, subject: Subject) -> None:
    with watched(database, subject) as readers:
        ids = together(CLIENTS, lambda number: _issue(database, subject, number, VerdictKind.POST))
    check_lines(database, subject, {VerdictKind.POST: set(ids), VerdictKind.PRE: set()})
    assert [reader.wrong for reader in readers] == [[], []]
    assert min(reader.looks for reader in readers) >= 2


def test_thirty_two_issue_for_both_lines(database: Database, subject: Subject) -> None:
    with watched(database, subject) as readers:
        ids = together(CLIENTS, lambda number: _issue(database, subject, number, KINDS[number % 2]))
    expected = {kind: set(ids[i::2]) for i, kind in enumerate(KINDS)}
    check_lines(database, subject, expected)
    assert [reader.wrong for reader in readers] == [[], []]


def test_runs_and_outside_agents_issue_at_once(database: Database, subject: Subject) -> None:
    leases = []
    for number in range(12):
        ask(database, subject, force=True, kind=KINDS[number % 2])
        leases.append(take(database, f"worker-{number}"))
        beat(database, leases[-1], predictions(wrong=range(number % 4)))

    def work(number: int) -> UUID:
        kind = KINDS[number % 2]
        with database.unit_of_work() as session:
            if number < len(leases):
                return conclude_run(session, leases[number], facts()).id
            paper = find_paper(session, subject.ref, lock=True)
            post = VerdictPost.model_validate(
                {
                    "kind": kind,
                    "agent_version": "v1.0.0-outside",
                    "protocol": {**AXES, "data": "probability_slice"},
                    "evidence": {"counts": [{"n": 100, "correct": 60 + number, "total": 1000}]},
                }
            )
            return post_verdict(session, paper, find_version(session, paper, None), post).id

    with watched(database, subject, readers=1) as readers:
        ids = together(24, work)
    check_lines(database, subject, {kind: set(ids[i::2]) for i, kind in enumerate(KINDS)})
    assert [reader.wrong for reader in readers] == [[]]


def test_issues_for_different_papers_do_not_wait_for_each_other(database: Database, subject: Subject) -> None:
    other = make_subject(database, "other", "2101.00002")
    with database.unit_of_work() as slow:
        issue(slow, lock_paper(slow, subject.paper_id), new_verdict(subject))
        with database.unit_of_work() as quick:
            quick.execute(text("SET LOCAL lock_timeout = '2s'"))
            issue(quick, lock_paper(quick, other.paper_id), new_verdict(other))


def test_without_the_lock_the_database_still_refuses_a_second_current_verdict(
    database: Database, subject: Subject
) -> None:
    """A bug that forgets to lock the paper costs an error, never a broken history."""

    def work(number: int) -> UUID | str:
        try:
            with database.unit_of_work() as session:
                paper = session.get_one(Paper, subject.paper_id)
                verdict = issue(session, paper, new_verdict(subject, score=number / CLIENTS))
                return verdict.id
        except IntegrityError as error:
            return str(getattr(error.orig, "sqlstate", ""))

    outcomes = together(CLIENTS, work)
    issued = {one for one in outcomes if isinstance(one, UUID)}
    assert issued
    assert {one for one in outcomes if isinstance(one, str)} <= {"23505", "23514"}
    with database.unit_of_work() as session:
        current = session.scalars(select(Verdict.id).where(Verdict.is_current)).all()
        line = session.scalars(select(Verdict.sequence).order_by(Verdict.sequence)).all()
    assert len(current) == 1
    assert list(line) == list(range(1, len(issued) + 1))
